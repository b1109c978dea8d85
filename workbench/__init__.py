"""Which picture is better, and why: rubrics from human image preferences, judges one can trust, rewards for generators.

The parts, in the order data flows: `workbench.pairs` -> `workbench.rubrics` -> `workbench.judges` ->
`workbench.evaluation` -> `workbench.induction` -> `workbench.audit`. `workbench.shapes` is the embedded world
everything runs on without a GPU.
"""

__version__ = "0.1.0"
