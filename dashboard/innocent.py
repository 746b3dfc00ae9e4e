"""What else may explain a flag of a case, with what the registry says of its key. Pure."""

from warehouse.cases.dossier import Dossier, Flagged
from warehouse.licensing.rules import BY_NAME
from warehouse.licensing.rules.dead_key import DEAD_KEY, UNDATED

# A license that its own module does not find may be one that the module fails to check.
UNCHECKED = ("unlicensed", "lapsed", "flapping")
ACTIVE = "the license registry has its key as active: the module may only fail to check the license"
LATELY = "a key that died only shortly before that import: what the install claimed until then may have been right"


def explanations(known: Dossier, flag: Flagged) -> list[str]:
    """Return the innocent explanations of a flag, those of this case first."""
    found = []
    if flag.rule in UNCHECKED and any((said or "").startswith("active,") for said in known.registered.values()):
        found.append(ACTIVE)
    if flag.rule == DEAD_KEY.name and any(text.endswith(UNDATED) for text, _ in flag.pieces):
        found.append(LATELY)
    rule = BY_NAME.get(flag.rule)
    return [*found, *(rule.innocent if rule else ["this rule exists no longer"])]
