"""From a design to the tables of a fabric, by array arithmetic: no loop over hosts, switches, ports or links."""

from __future__ import annotations

from collections.abc import Iterator

from fabric.catalogue import Catalogue
from fabric.design import Design
from fabric.intent import Intent
from fabric.tables import SCHEMA, Fabric
from planner.build_cables import cable_ids
from planner.build_frames import cables_frame, hosts_frame, links_frame, nics_frame, ports_frame, switches_frame
from planner.build_layout import Layout, lay_out
from planner.build_links import Batch, core_links, endpoint_links, host_links, leaving_links, pair_links, up_links
from planner.build_services import service_links


def build(design: Design, intent: Intent, catalogue: Catalogue) -> Fabric:
    """Every device, port, link and cable that the design means, with names; racks and media are left empty.

    Time and memory grow with the number of ports. Raises ValueError where the design contradicts itself (more links
    than a switch has ports for).
    """
    layout = lay_out(design, intent, catalogue)
    batches = list(connect(layout))
    hosts = hosts_frame(layout, intent, {name: server.gpus for name, server in catalogue.servers.items()})
    ports = ports_frame(layout, batches)
    links = links_frame(batches, cable_ids(batches, ports.height))
    return Fabric(
        hosts=hosts,
        switches=switches_frame(layout, hosts.height),
        nics=nics_frame(layout),
        ports=ports,
        links=links,
        cables=cables_frame(links, batches, ports.height),
        racks=SCHEMA["racks"].empty(),
    )


def connect(layout: Layout) -> Iterator[Batch]:
    """All links, network by network, from the hosts up."""
    attached: dict[str, int] = {}
    for name, network in layout.networks.items():
        if name == "oob":
            yield from endpoint_links(layout, network)
        else:
            yield from host_links(layout, network)
            yield from service_links(layout, network)
        yield from pair_links(network)
        yield from up_links(network)
        yield from core_links(network)
        yield from leaving_links(layout, network, attached)
