"""FRRouting: ``frr.conf`` of switches with FRR or SONiC, and what a plain Linux switch needs beside it."""

from fabric.exports.frr.configs import configs
from fabric.exports.frr.timers import PRODUCTION, Timers

__all__ = ["PRODUCTION", "Timers", "configs"]
