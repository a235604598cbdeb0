"""The tests of `TorchPolicy` belong to an environment that has the extra `symphony-boot[torch]`."""

from importlib.util import find_spec

collect_ignore = [] if find_spec("torch") else ["test_torch_policy.py"]
