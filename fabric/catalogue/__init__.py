"""The parts a fabric is planned with: servers, switches, optics, cables and prices, shipped and the user's own."""

from fabric.catalogue.loader import load_catalogue
from fabric.catalogue.models import (
    ACCEPTS,
    Asic,
    Cable,
    CageGroup,
    Catalogue,
    Management,
    Mode,
    NicGroup,
    NosSupport,
    Optic,
    PortLimit,
    ScaleUp,
    Server,
    ServerPower,
    Switch,
    SwitchPower,
)
from fabric.catalogue.ports import PortPattern
from fabric.catalogue.prices import Prices, load_prices

__all__ = [
    "ACCEPTS",
    "Asic",
    "Cable",
    "CageGroup",
    "Catalogue",
    "Management",
    "Mode",
    "NicGroup",
    "NosSupport",
    "Optic",
    "PortLimit",
    "PortPattern",
    "Prices",
    "ScaleUp",
    "Server",
    "ServerPower",
    "Switch",
    "SwitchPower",
    "load_catalogue",
    "load_prices",
]
