"""The settings of a gNMI target, and what is asked of it."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest
from gnmi_listen import leaf, listen, loop, tls
from gnmi_server import Identity

from collectors.secrets import Secret
from collectors.sources.gnmi.options import options
from fabric.errors import InputError

__all__ = ["loop", "tls"]


def test_all_mistakes_of_all_targets_come_at_once(loop: asyncio.Runner, tmp_path: Path) -> None:
    (tmp_path / "no.pem").write_text("nothing")
    targets = [
        leaf(1, insecure="yes", period=0, mode="netconf", tls=True),
        leaf(1, device="leaf-2", user="a", certificate=str(tmp_path / "no.pem"), ca=str(tmp_path / "absent")),
        leaf(1, device="leaf-3", password="words", queues={"a": 64}, insecure=True),
    ]
    with pytest.raises(InputError) as raised:
        listen(loop, targets, bool)
    assert [str(problem).replace(str(tmp_path), "") for problem in raised.value.problems] == [
        "gnmi: leaf-1: tls: unknown, one of mode, period, heartbeat, user, password, ca, certificate, key, "
        "server_name, insecure, encoding, target, queues",
        "gnmi: leaf-1: mode: is 'netconf', not one of openconfig, sonic",
        "gnmi: leaf-1: period: is not a number of seconds from 0.1 to 86400",
        "gnmi: leaf-1: insecure: is neither true nor false",
        "gnmi: leaf-2: ca: cannot be read: No such file or directory",
        "gnmi: leaf-2: certificate: is no PEM file",
        "gnmi: leaf-3: password: is not a secret: say the secret's name in the settings",
        "gnmi: leaf-3: queues: 'a' has no number from 0 to 63",
    ]


def test_contradictions_are_mistakes_and_secrets_do_not_show(tls: Identity) -> None:
    said: dict[str, Any] = {"insecure": True, "ca": str(tls.certificate), "key": str(tls.key), "user": "a"}
    with pytest.raises(InputError) as raised:
        options(leaf(1, **said))
    assert [problem.where for problem in raised.value.problems] == [
        "gnmi: leaf-1: insecure", "gnmi: leaf-1: certificate", "gnmi: leaf-1: user"]  # fmt: skip
    shown = repr(
        options(leaf(1, user="a", password=Secret("hidden"), certificate=str(tls.certificate), key=str(tls.key)))
    )
    assert "hidden" not in shown
    assert "PRIVATE" not in shown
