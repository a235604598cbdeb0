"""What PyInstaller does not see by itself: names that Symphony fetches when they are first asked for, and its files.

Found by the entry point `pyinstaller40`; read by PyInstaller alone. What extensions import beside it, the application
names itself.
"""

from PyInstaller.utils.hooks import collect_data_files, collect_submodules

from symphony._guest.fork_server import WARM

# Test helpers bring pytest, the policy on PyTorch brings that: who uses them imports them by name.
_LEFT_OUT = ("symphony.testing", "symphony.conductor._torch", "symphony._guest.pyinstaller")

hiddenimports = [
    *collect_submodules("symphony", filter=lambda name: not name.startswith(_LEFT_OUT)),
    *WARM,
]
datas = collect_data_files("symphony", includes=["include/*", "*.json", "_cli/_new/templates/**"])
excludedimports = ["pytest"]
