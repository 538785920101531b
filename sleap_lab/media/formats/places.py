"""Where the predictions of a run are written, checked before there are any."""

from collections import Counter
from pathlib import Path

import numpy as np

from sleap_lab.errors import ConfigError
from sleap_lab.files.earlier import refuse_others
from sleap_lab.media.formats.write import format_files
from sleap_lab.media.source import Source
from sleap_lab.settings.check_outputs import writes_predictions
from sleap_lab.settings.config import Config


def check_places(config: Config, source: Source) -> None:
    """Refuse predictions that would overwrite an input, or a file that is no result of a run.

    Raises:
        ConfigError: Naming the file, what it holds, and what to do.
    """
    output = config.output
    if output.path is None:
        return
    used = np.unique(source.frames[:, 0]).tolist()
    path = Path(output.path)
    files = (
        format_files(path, output.formats, source.videos, used)
        if writes_predictions(config)
        else []
        if output.make_labels
        else [path]
    )
    if twice := [file for file, times in Counter(files).items() if times > 1]:
        raise ConfigError(
            f"output.path: {path} in the formats {', '.join(output.formats)} "
            f"would be two files of the name {twice[0].name}; choose another suffix"
        )
    refuse_others("output.path", files, (("data.path", file) for file in source.files))
