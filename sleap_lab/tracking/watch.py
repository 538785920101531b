"""How far tracking is, for whoever waits for it."""

from sleap_lab.terminal import Watch


def unwatched(done: int, total: int, step: str = "") -> None:
    """Take no note."""


def within(watch: Watch, name: str) -> Watch:
    """Return the watch of a part of the work, whose steps get the name of the part before theirs.

    Without a name of the part nothing changes.
    """
    if not name:
        return watch

    def told(done: int, total: int, step: str = "") -> None:
        watch(done, total, f"{name}, {step}" if step else name)

    return told


def onwards(watch: Watch, before: int, frames: int, name: str) -> Watch:
    """Return the watch of one of several videos: frames are those of all, steps get its name.

    Args:
        watch: The watch of all.
        before: Number of frames of the videos before it.
        frames: Number of frames of all.
        name: What steps of this video are called by.
    """
    named = within(watch, name)

    def told(done: int, total: int, step: str = "") -> None:
        if step:
            named(done, total, step)
        else:
            watch(before + done, frames)

    return told
