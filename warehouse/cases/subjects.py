"""What a case is about: an install or a key, of a module. Pure."""

import re
from dataclasses import dataclass

from core.fields import MODULE

_SPELLED = re.compile(rf"(?P<module>{MODULE})\.(?P<kind>install|key)\.(?P<number>[0-9a-f]{{16}})", re.ASCII)


@dataclass(frozen=True, order=True)
class Subject:
    """The subject of a case, by its pseudonym in the license plane: of its `install` and `key` one is 0."""

    module: str
    install: int
    key: int

    @property
    def kind(self) -> str:
        """`install` or `key`."""
        return "key" if self.key else "install"

    def __str__(self) -> str:
        """The name of the case: `invoice_pro.install.0123456789abcdef`."""
        return f"{self.module}.{self.kind}.{self.key or self.install:016x}"


def subject_of(text: str) -> Subject | None:
    """Return the subject with this name, None if it is the name of none."""
    found = _SPELLED.fullmatch(text)
    if found is None or not (number := int(found["number"], 16)):
        return None
    return Subject(found["module"], *((0, number) if found["kind"] == "key" else (number, 0)))
