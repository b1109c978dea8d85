"""The two named settings: `paper`, as published, and `default`, what measures best on the embedded world."""

from collections.abc import Mapping
from typing import Any

PRESETS: Mapping[str, Mapping[str, Any]] = {
    # ARR's FLUX launcher (arXiv 2605.08354; batch 32 from its appendix, as the launcher's never steps).
    "paper": {
        "sampling": {
            "steps": 8,
            "shift": 3.0,
            "kind": "dance",
            "eta": 0.3,
            "window": "all",
            "weights": "uniform",
            "same_noise": True,
            "group": 2,
            "truncate": True,
        },
        "objective": {
            "advantage": "paper",
            "clip": [0.2, 0.2],
            "clip_on": "mean",
            "kl": "log_ratio",
            "beta": 0.01,
            "strategy": "replay",
        },
        "optimizer": {"lr": 5e-5, "warmup": 0, "betas": [0.9, 0.999], "weight_decay": 1e-4, "max_grad_norm": 1.0},
        "groups": 32,
    },
    "default": {
        "sampling": {
            "steps": 8,
            "shift": 3.0,
            "kind": "flow_grpo",
            "eta": 0.7,
            "window": 1,
            "starts": [0, 3],
            "weights": "noise",
            "same_noise": True,
            "group": 2,
        },
        "objective": {
            "advantage": "centered",
            "clip": [0.2, 0.2],
            "clip_on": "joint",
            "kl": "gaussian",
            "beta": 0.01,
            "strategy": "replay",
        },
        "optimizer": {"lr": 1.5e-4, "warmup": 10, "betas": [0.9, 0.99], "weight_decay": 1e-4, "max_grad_norm": 1.0},
        "groups": 32,
    },
}
