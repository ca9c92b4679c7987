# SPDX-License-Identifier: Apache-2.0
"""What a disk holds after its power was lost: of files what was synced, of folders the names they had when synced."""

import os
import pathlib
import shutil
import stat


class Disk:
    """Follows what is synced below `folder`, and of the folder that it lies in.

    Every file and folder that was synced is kept open, so that its number is nobody else's.
    """

    def __init__(self, folder: pathlib.Path):
        self._folder = folder
        self._data: dict[int, bytes] = {}  # by inode
        self._names: dict[int, dict[str, int]] = {}  # of folders, by inode: name -> inode
        self._folders: set[int] = set()
        self._held: list[int] = []

    def synced(self, handle: int) -> None:
        """A file or folder was synced."""
        path = pathlib.Path(os.readlink(f"/proc/self/fd/{handle}"))
        if path != self._folder.parent and not path.is_relative_to(self._folder):
            return
        inode = os.fstat(handle).st_ino
        self._held.append(os.dup(handle))
        if stat.S_ISDIR(os.fstat(handle).st_mode):
            self._folders.add(inode)
            entries = list(os.scandir(path))
            self._names[inode] = {entry.name: entry.inode() for entry in entries}
            for entry in entries:
                if entry.is_dir(follow_symlinks=False):
                    self._folders.add(entry.inode())
                    self._held.append(os.open(entry.path, os.O_RDONLY))
        else:
            self._data[inode] = path.read_bytes()

    def after_loss(self, target: pathlib.Path, *, names_last: bool) -> None:
        """Makes what would be there after a loss of power.

        Args:
          target: a new folder, in the place of the run's.
          names_last: the names are those of this moment, as where a file system writes names before contents; else
            what was not synced is gone, names too.
        """
        if names_last:
            self._copy(self._folder, target)
            return
        parent = self._names.get(os.stat(self._folder.parent).st_ino, {})
        if self._folder.name in parent:
            self._make(parent[self._folder.name], target)

    def _copy(self, source: pathlib.Path, target: pathlib.Path) -> None:
        target.mkdir()
        for entry in os.scandir(source):
            if entry.is_dir(follow_symlinks=False):
                self._copy(pathlib.Path(entry.path), target / entry.name)
            else:
                (target / entry.name).write_bytes(self._data.get(entry.inode(), b""))

    def _make(self, inode: int, target: pathlib.Path) -> None:
        target.mkdir()
        for name, each in self._names.get(inode, {}).items():
            if each in self._folders:
                self._make(each, target / name)
            else:
                (target / name).write_bytes(self._data.get(each, b""))


def replace_folder(folder: pathlib.Path, other: pathlib.Path) -> None:
    """Puts another folder, if it is there, in the place of one."""
    shutil.rmtree(folder, ignore_errors=True)
    if other.exists():
        other.rename(folder)
