"""Write the data sheet: what a module's beacon holds, from the table of fields, to paste into a privacy policy."""

from core.fields import FIELDS, Field
from warehouse.retention import KEPT

_HEAD = """\
# What {vendor} receives

With the consent of the server's owner, modules of {vendor} send a small report about once a day. The owner chooses the
level in the module:

- **Off**: nothing is sent.
- **License**: the fields whose level is *license, full*.
- **Full**: all fields.

The report is split on arrival into two sets of data with different pseudonyms: *usage*, for the product team, and
*license*, for the licensing team. The connection shows the address of the server, which is kept with the license data.
The owner may see, export and erase the data of the server and object to it, from the page of the module.

| field | what it is | level | kept in |
|---|---|---|---|
"""

_KEPT = """
The PHP client that `pharos sdk` writes never sends `server.public_ip`.

## How long it is kept

| what | how long |
|---|---|
"""


def markdown(vendor: str) -> str:
    """Return the data sheet as Markdown: a row for each field of a beacon, then how long each kind of data is kept."""
    kept = "".join(f"| {each.what} | {each.how_long} |\n" for each in KEPT)
    return _HEAD.format(vendor=vendor) + "".join(_row(field) for field in FIELDS) + _KEPT + kept


def _row(field: Field) -> str:
    planes = [name for name, column in (("usage", field.usage), ("license", field.license)) if column]
    level = "full" if field.full else "license, full"
    doc = field.doc.replace("|", "\\|")
    return f"| `{field.path}` | {doc} | {level} | {' and '.join(planes) or 'not kept'} |\n"
