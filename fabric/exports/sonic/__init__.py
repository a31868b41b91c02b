"""SONiC: ``configs/<switch>/config_db.json`` of every switch that runs it (docs/sonic.md)."""

from fabric.exports.sonic.configs import configs

__all__ = ["configs"]
