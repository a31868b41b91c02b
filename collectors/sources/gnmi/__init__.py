"""gNMI (github.com/openconfig/reference, specification 0.10): what switches stream of their counters and states.

``source.Gnmi`` listens to all devices; a ``stream`` is one device's connection; its ``decoder`` turns batches of
messages into columns: ``wire`` reads the bytes, ``dictionary`` knows paths by their bytes, ``paths`` what they mean,
``values`` what a column can hold, ``rows`` makes the table. ``requests`` is what is asked, ``client`` gRPC and TLS,
``options`` the settings, ``proto`` the messages on the protobuf runtime.
"""
