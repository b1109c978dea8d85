"""Rubric Policy Optimization: a generator is fine-tuned on what a judge prefers among its own pictures.

The maths, in the order it happens: `config` (what a run is asked), `prompts`, `policy` (what a generator must do;
`policies/` has FLUX and Qwen-Image-Edit), `draws` (random numbers), `sampler` (one step), `plan` (which steps are
noisy), `rollout` (candidates), `reward` (what judges say; `rewards_from` builds them), `advantages`, `objective` (the
loss), `strategies` (two ways to its gradient), `learner` (the optimizer).

`trainer` does an update after another, `train` is the command behind `launch`, which a notebook uses, and `estimate`
says beforehand what a run will take. `running/` is what a run needs to stop, go on and tell of itself on one process or
many; `watching/` is how its policy does, against the frozen base and by measurement.
"""
