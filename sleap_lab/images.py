"""What can be known of the images of a video before they are read: which are not there, and which are meant to be turned."""

from collections.abc import Sequence
from pathlib import Path

from sleap_lab.untrusted import is_pointer

JPEG = (".jpg", ".jpeg")
EXIF_ORIENTATION = 274


def is_there(name: str | Path) -> bool:
    """Say whether there is a file that may be read; what cannot be looked for (no access, too long a name) is not there."""
    try:
        if not Path(name).is_file():
            return False
        with open(name, "rb") as file:
            file.read(1)
    except (OSError, ValueError):
        return False
    return True


def absent_images(names: Sequence[str]) -> list[str]:
    """Return those of some images that are not there, or that Git LFS left only a pointer to."""
    return [name for name in names if not is_there(name) or is_pointer(Path(name))]


def orientation_note(names: Sequence[str]) -> str | None:
    """Return a warning where cameras noted that images are to be turned: they are read as they are stored, as SLEAP reads them."""
    from PIL import Image  # most videos are no images

    turned = []
    for name in names:
        if Path(name).suffix.lower() in JPEG:
            try:
                with Image.open(name) as image:
                    orientation = image.getexif().get(EXIF_ORIENTATION, 1)
            except Exception:  # reading it says what is wrong
                continue
            if orientation in range(2, 9):
                turned.append(name)
    if not turned:
        return None
    return (
        f"{len(turned)} of {len(names)} images, the first {turned[0]}, carry the note that they are to be turned (EXIF orientation). "
        "They are read as they are stored, as SLEAP does, and so are the poses. To have them turned: mogrify -auto-orient"
    )
