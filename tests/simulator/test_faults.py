import re

import pytest

from proxy.simulator.faults import FAULTS, Fault, parse_fault
from proxy.simulator.scripts import SCRIPTS
from proxy.simulator.wires.openai_errors import REFUSALS

CUT_2 = Fault("cut", after=2)


@pytest.mark.parametrize(
    ("spec", "fault"),
    [
        ("stall", Fault("stall")),
        ("cut:after=9", Fault("cut", after=9)),
        (" cut : after = 9 , times=1 ", Fault("cut", after=9, times=1)),
        ("503", Fault("status", status=503)),
        ("404:retry_after=1.5", Fault("status", status=404, retry_after=1.5)),
        ("429:retry_after=2", Fault("429", retry_after=2.0)),
        ("random:inner=503", Fault("random", inner=Fault("status", status=503), probability=0.5)),
        ("flapping:inner=stall,after=3,broken=1", Fault("flapping", inner=Fault("stall", after=3), broken=1.0)),
        ("low_headroom:remaining=2,limit=9", Fault("low_headroom", remaining=2, limit=9)),
        ("slower:factor=4,probability=0.05", Fault("slower", factor=4.0, probability=0.05)),
        ({"fault": "stall", "after": 9}, Fault("stall", after=9)),
        ({"name": "stall"}, Fault("stall")),
        ({"fault": 529, "times": None}, Fault("status", status=529)),
        ({"fault": "cut:after=9", "times": 2}, Fault("cut", after=9, times=2)),
        ({"fault": "random", "inner": {"fault": "cut", "after": 2}}, Fault("random", inner=CUT_2, probability=0.5)),
    ],
)
def test_a_fault_is_read(spec, fault):
    assert parse_fault(spec) == fault


@pytest.mark.parametrize(
    ("spec", "message"),
    [
        ("stal", "unknown fault 'stal'; did you mean 'stall'?"),
        ("xyzzy", "known: refuse, reset,"),
        ("stall:aftr=3", "reads no parameter 'aftr'; did you mean 'after'?"),
        ("reset:after=3", "reads no parameter 'after'"),
        ("refuse:times=2", "reads no parameter 'times'"),
        ("stall:after=x", "after must be a whole number from 0 to 1000000000, got 'x'"),
        ("stall:after=1.5", "after must be a whole number"),
        ({"fault": "stall", "after": True}, "after must be a whole number"),
        ({"fault": "slow_body", "seconds": float("nan")}, "seconds must be a number"),
        ("stall:after", "'after' is not of the form parameter=value"),
        ("200", "status must be a whole number from 400 to 599, got '200'"),
        ("429:form=secods", "form has no value 'secods'; did you mean 'seconds'?"),
        ("low_headroom:reset=0", "reset must be a number from 0.001 to 1e+06, got '0'"),
        ("low_headroom:refill=stedy", "refill has no value 'stedy'; did you mean 'steady'?"),
        ("slower:factor=0.5", "factor must be a number from 1 to 1e+06"),
        ("redirect:location=", "location must be a text"),
        ("random", "needs the parameter inner, such as random:inner=503"),
        ("random:inner=refuse", "a port cannot be closed for a single request"),
        ("flapping:inner=random", "cannot hold 'random'"),
        ({"fault": "random", "inner": {"fault": "cut", "times": 1}}, "give times, lasts, probability to 'random'"),
        ({"after": 3}, "a fault needs a name"),
    ],
)
def test_misuse_is_a_clear_value_error(spec, message):
    with pytest.raises(ValueError, match=re.escape(message)):
        parse_fault(spec)


@pytest.mark.parametrize("name", FAULTS)
def test_text_and_mapping_read_back_as_the_same_fault(name):
    inner = {"inner": "cut", "after": 7} if FAULTS[name].scope == "wrapper" else {}
    common = {} if name == "refuse" else {"times": 3}
    fault = parse_fault({"fault": name, **inner, **common, "lasts": 2})
    assert parse_fault(str(fault)) == fault
    assert parse_fault(fault.as_dict()) == fault


def test_certainty_reads_back_as_certainty():
    fault = parse_fault("random:inner=503,probability=1")
    assert fault.probability == 1
    assert parse_fault(fault.as_dict()) == parse_fault(str(fault)) == fault


def test_a_fault_is_written_shortly():
    assert str(parse_fault("503")) == "503"
    assert str(parse_fault("cut:after=5")) == "cut"
    assert str(parse_fault("flapping:inner=stall,after=3,broken=1")) == "flapping:inner=stall,broken=1.0,after=3"


def test_every_fault_of_the_catalogue_is_built():
    by_scope = {scope: {name for name, row in FAULTS.items() if row.scope == scope} for scope in ("answer", "refusal")}
    assert by_scope["answer"] == set(SCRIPTS)
    assert by_scope["refusal"] == {*REFUSALS, "html_502", "redirect"}
