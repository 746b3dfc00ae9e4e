"""The rules, each in a module of its own: a pure function from facts to a finding."""

from warehouse.licensing.findings import Rule
from warehouse.licensing.rules.cloned_install import CLONED_INSTALL
from warehouse.licensing.rules.dead_key import DEAD_KEY
from warehouse.licensing.rules.flapping import FLAPPING
from warehouse.licensing.rules.lapsed import LAPSED
from warehouse.licensing.rules.missing_key import MISSING_KEY
from warehouse.licensing.rules.shared_key import SHARED_KEY
from warehouse.licensing.rules.trial_overrun import TRIAL_OVERRUN
from warehouse.licensing.rules.unauthorized_source import UNAUTHORIZED_SOURCE
from warehouse.licensing.rules.unknown_key import UNKNOWN_KEY
from warehouse.licensing.rules.unlicensed import UNLICENSED
from warehouse.licensing.rules.wrong_module import WRONG_MODULE

RULES: tuple[Rule, ...] = (
    UNLICENSED,
    LAPSED,
    UNKNOWN_KEY,
    MISSING_KEY,
    DEAD_KEY,
    WRONG_MODULE,
    SHARED_KEY,
    CLONED_INSTALL,
    FLAPPING,
    TRIAL_OVERRUN,
    UNAUTHORIZED_SOURCE,
)
BY_NAME = {rule.name: rule for rule in RULES}
