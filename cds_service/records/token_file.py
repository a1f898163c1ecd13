"""The bearer token of a server, from a file that an operator names.

Error policy: ConfigurationError that names setting and file, never what is in it.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Final

from cds_service.errors import ConfigurationError

# Visible ASCII only: whatever else stands in a token could smuggle a second header line.
TOKEN: Final = re.compile(r"[\x21-\x7e]+")


def read_token(path: Path, setting: str) -> str:
    """The token in the file that `setting` names. Raises ConfigurationError."""
    try:
        token = path.read_text("ascii").strip()
    except OSError:
        raise ConfigurationError(
            f"{setting}: {path} can't be read: name a file that this user may read."
        ) from None
    except UnicodeDecodeError:
        token = ""
    if not TOKEN.fullmatch(token):
        raise ConfigurationError(
            f"{setting}: {path} must hold one bearer token and nothing else: put it there alone."
        )
    return token
