"""File systems for one attack, which no other process sees."""

import os
import subprocess

from fuse import make_mounts_private
from outcome import Skipped


def run(*command):
    try:
        subprocess.run(
            command, check=True, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE)
    except FileNotFoundError:
        raise Skipped(f"there is no {command[0]}") from None
    except subprocess.CalledProcessError as error:
        why = error.stderr.decode(errors="replace").strip()
        raise Skipped(f"{command[0]} failed: {why}") from None


class Mount:
    """Mounts a file system that a user can write to, until the end of the block."""

    def __init__(self, folder, uid, *options):
        self.folder = folder
        make_mounts_private()
        os.makedirs(folder, exist_ok=True)
        run("mount", *options, folder)
        os.chown(folder, uid, uid)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        # The daemon may still have files open, which end with them.
        run("umount", "--lazy", self.folder)


def ramfs(folder, uid):
    """A file system whose times are the ticks of the kernel's clock."""
    return Mount(folder, uid, "-t", "ramfs", "none")


def ext4_of_whole_seconds(image, folder, uid):
    """A file system with inodes too small for times below a second."""
    with open(image, "wb") as file:
        file.truncate(64 << 20)
    run("mkfs.ext4", "-q", "-F", "-I", "128", image)
    return Mount(folder, uid, "-t", "ext4", "-o", "loop", image)
