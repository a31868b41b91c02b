"""Every gNMI path is a leaf of OpenConfig's models, and SONiC's tables are read as SONiC prints them."""

from __future__ import annotations

import json
import re
import subprocess
from typing import Any

import pytest
from conftest import need, shared_data
from hypothesis import given
from hypothesis import strategies as st
from pygnmi.spec.v080 import gnmi_pb2  # type: ignore[import-untyped]
from test_gnmi_wire import response, update, values

from collectors.sources.gnmi import paths
from collectors.sources.gnmi.decoder import Decoder
from collectors.sources.gnmi.dictionary import Dictionary
from collectors.sources.gnmi.options import Options
from collectors.sources.gnmi.requests import openconfig_paths, requests, wishes
from fabric.counters import counters

MODULES = ("interfaces", "if-ethernet", "if-ethernet-ext", "platform-port", "platform-transceiver", "qos", "lldp",
           "platform")  # fmt: skip
_NODE = re.compile(r"^(?P<indent>[ |]*)[+xo]--(?:rw|ro) (?:[\w-]+:)?(?P<name>[\w-]+)(?P<keys>[*?!]?(?: \[[\w -]+\])?)")


def leaves(tree: str) -> dict[str, str]:
    """Keys of each node (as yanglint prints them) by path, of ``yanglint -f tree``."""
    found, stack = {}, list[tuple[int, str]]()
    for line in tree.splitlines():
        node = _NODE.match(line)
        if node is None:
            stack = [] if line.startswith(("module:", "  augment")) else stack
            continue
        depth = len(node["indent"])
        stack = [above for above in stack if above[0] < depth] + [(depth, node["name"])]
        found["".join(f"/{name}" for _, name in stack)] = node["keys"]
    return found


@pytest.fixture(scope="module")
def models() -> dict[str, str]:
    folder, program = shared_data("openconfig-yang"), need("yanglint")
    found: dict[str, str] = {}
    for module in ("interfaces", "qos", "lldp", "platform"):
        files = [f"{folder}/openconfig-{name}.yang" for name in (*MODULES, module)]
        command = [program, "-f", "tree", "-p", str(folder), "-p", "/usr/share/yang/modules/libyang", *files]
        done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=60)
        found |= leaves(done.stdout)
    return found


def test_every_gnmi_path_is_a_leaf_of_openconfig(models: dict[str, str]) -> None:
    wanted = [*paths.openconfig(), *paths.LINKS]
    assert len(wanted) > 30
    assert [path for path in wanted if path not in models] == []
    assert [path for path in wanted if any(other.startswith(f"{path}/") for other in models)] == []


def test_the_keys_that_are_read_are_those_of_the_models(models: dict[str, str]) -> None:
    lists = {path: keys.split("[")[1].rstrip("]") for path, keys in models.items() if "[" in keys}
    ours = {**{path: keys for path, (_, keys) in paths._NAMED.items()}, **paths._NUMBERED, **paths._OTHER}
    assert {path: lists[path] for path in ours} == {path: keys[0] for path, keys in ours.items()}
    crossed = {path[: at.end() - 1] for path in paths.openconfig() for at in re.finditer("[^/]/", path + "/")}
    assert {path for path in crossed if path in lists} == {*ours}


def test_what_is_asked_for_covers_every_path_with_its_lists_open(models: dict[str, str]) -> None:
    sampled, changing = openconfig_paths()
    for path in paths.openconfig():
        covers = [asked for asked in (*sampled, *changing) if path == asked or path.startswith(f"{asked}/")]
        assert len(covers) == 1, path
    request = gnmi_pb2.SubscribeRequest.FromString(requests(Options(), 10, wishes(Options())[0])[""])
    for each in request.subscribe.subscription:
        place = ""
        for elem in each.path.elem:
            place += f"/{elem.name}"
            key = re.search(r"\[(.*)\]", models[place])
            assert dict(elem.key) == ({key[1]: "*"} if key else {})


def test_no_path_of_sonic_is_taken_for_openconfigs() -> None:
    for counter in counters().values():
        assert all(address.path.startswith("/") for address in counter.addresses["gnmi"])
        assert not any(address.path.startswith("/") for address in counter.addresses["sonic"])


SONIC = {
    "COUNTERS/Ethernet*": {
        "Ethernet0": {"SAI_PORT_STAT_IF_IN_OCTETS": "18446744073709551615", "SAI_PORT_STAT_PFC_3_RX_PKTS": "7",
                      "SAI_PORT_STAT_PFC_3_RX_PAUSE_DURATION_US": "2500000", "SAI_PORT_STAT_IF_IN_ERRORS": "N/A",
                      "SAI_PORT_STAT_IF_IN_FEC_CODEWORD_ERRORS_S15": "2", "TIME_STAMP": "1"},
        "etp2": {"SAI_PORT_STAT_IF_IN_OCTETS": "5"},
        "Ethernet72": {"SAI_PORT_STAT_IF_IN_OCTETS": "5"},
    },
    "COUNTERS/Ethernet0": {"SAI_PORT_STAT_IF_OUT_OCTETS": "6"},
    "COUNTERS/Ethernet*/SAI_PORT_STAT_PFC_7_RX_PKTS": {"Ethernet0": {"SAI_PORT_STAT_PFC_7_RX_PKTS": "8"}},
    "COUNTERS/Ethernet0/SAI_PORT_STAT_PFC_6_RX_PKTS": "9",
    "COUNTERS/Ethernet*/Queues": {
        "Ethernet0:3": {"SAI_QUEUE_STAT_BYTES": "10", "SAI_QUEUE_STAT_SHARED_WATERMARK_BYTES": "64",
                        "PFC_WD_QUEUE_STATS_DEADLOCK_DETECTED": "1", "PFC_WD_STATUS": "operational"},
        "Ethernet0:3:periodic": {"SAI_QUEUE_STAT_SHARED_WATERMARK_BYTES": "192"},
        "Ethernet0:64": {"SAI_QUEUE_STAT_BYTES": "11"},
    },
    "COUNTERS/Ethernet0/PriorityGroups": {
        "Ethernet0:4": {"SAI_INGRESS_PRIORITY_GROUP_STAT_DROPPED_PACKETS": "12"}},
    "PORT_TABLE": {"Ethernet0": {"admin_status": "up", "oper_status": "down", "mtu": "9100", "speed": "800000"}},
    "LLDP_ENTRY_TABLE": {"Ethernet0": {"lldp_rem_sys_name": "spine-1", "lldp_rem_port_id": "Ethernet8"}},
    "TRANSCEIVER_DOM_SENSOR": {"Ethernet0": {"rx8power": "-2.25", "temperature": "41.5", "voltage": "3.3"}},
    "PORT_QOS_MAP": {"Ethernet0": {"pfc_enable": "3,4", "dscp_to_tc_map": "AZURE"}},
}  # fmt: skip
"""Values by path, in the shapes that sonic-gnmi's own tests have (sonic-net/sonic-gnmi, ``testdata``)."""
ANSWERS = {
    "swp0": {"rx_bytes": 2**64 - 1, "tx_bytes": 6, "rx_pfc_frames_p3": 7, "rx_pfc_frames_p7": 8, "rx_pfc_frames_p6": 9,
             "rx_pfc_pause_seconds_p3": 2.5, "fec_codewords_b15": 2, "queue_tx_bytes_q3": 10,
             "queue_watermark_bytes_q3": 64.0, "pfc_watchdog_storms_q3": 1, "priority_rx_discards_p4": 12,
             "admin_status": 1, "oper_status": 2, "mtu_bytes": 9100.0, "speed_gbps": 800.0, "lldp_system": "spine-1",
             "lldp_port": "Ethernet8", "rx_power_dbm_l7": -2.25, "module_temperature_celsius": 41.5,
             "module_voltage_volts": 3.3, "pfc_enabled_mask": 24.0},
    "swp2": {"rx_bytes": 5},
}  # fmt: skip


def sonic(messages: list[bytes]) -> tuple[dict[str, dict[str, Any]], Decoder, int]:
    reader = Decoder(Dictionary(paths.Sonic()), {"Ethernet0": "swp0", "Ethernet2": "swp2", "etp2": "swp2"})
    reader.feed(messages, range(1, len(messages) + 1))
    rows, unknown = reader.take("leaf-1", 0)
    found: dict[str, dict[str, Any]] = {}
    for (port, _, column), value in values(rows).items():
        found.setdefault(port, {})[column] = value
    return found, reader, unknown


def test_sonics_tables_are_read_in_every_shape_that_it_sends() -> None:
    messages = [response(1, [update(path.split("/"), json_ietf_val=json.dumps(value).encode())])
                for path, value in SONIC.items()]  # fmt: skip
    found, reader, unknown = sonic(messages)
    assert found == ANSWERS
    assert (reader.counts.unusable, unknown) == (1, 1)


def test_sonics_other_form_of_paths_names_the_database_first() -> None:
    path = ["COUNTERS_DB", "localhost", "COUNTERS", "Ethernet0"]
    message = gnmi_pb2.SubscribeResponse.FromString(
        response(1, [update(path, json_ietf_val=b'{"SAI_PORT_STAT_IF_IN_OCTETS":"3"}')])
    )
    message.update.prefix.origin = "sonic-db"
    assert sonic([message.SerializeToString()])[0] == {"swp0": {"rx_bytes": 3}}


TREES = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(), st.floats(), st.text(max_size=8)),
    lambda inner: st.one_of(
        st.lists(inner, max_size=3),
        st.dictionaries(
            st.sampled_from(["Ethernet0", "Ethernet0:3", "SAI_PORT_STAT_IF_IN_OCTETS", "interface", "name", "state",
                             "counters", "in-octets", "*", "", ":"]), inner, max_size=4),
    ),
    max_leaves=12,
)  # fmt: skip


STEPS = st.sampled_from(["COUNTERS", "Ethernet*", "Ethernet0", "interfaces", "interface[name=Ethernet0]", "Queues", ""])


@given(st.lists(STEPS, max_size=4), TREES)
def test_json_of_any_shape_ends_nothing(path: list[str], tree: Any) -> None:
    message = response(1, [update(path, json_val=json.dumps(tree).encode())])
    for language in (paths.Sonic(), paths.OpenConfig()):
        reader = Decoder(Dictionary(language), {"Ethernet0": "swp0"})
        reader.feed([message, message], [1, 2])
        rows, _ = reader.take("leaf-1", 0)
        assert set(rows.columns) - {"time_ns", "received_ns", "device", "port"} <= {
            "rx_bytes", *(f"rx_pfc_frames_p{i}" for i in range(8))}  # fmt: skip
