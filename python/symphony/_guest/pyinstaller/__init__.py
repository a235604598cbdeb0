"""Where PyInstaller finds the hook for this package: `hook-symphony.py` beside this file."""


def hook_folders() -> list[str]:
    """The folders that PyInstaller looks through; the entry point `pyinstaller40` names this function."""
    import os

    return [os.path.dirname(os.path.abspath(__file__))]
