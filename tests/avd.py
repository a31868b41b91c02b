"""Run by pyavd's own interpreter: reads a structured configuration, says what is wrong with it, and renders it.

Standard input and output are JSON: ``{hostname: structured configuration}`` to ``{hostname: {errors, text}}``.
"""

import json
import sys

import pyavd

found = {}
for name, config in json.load(sys.stdin).items():
    result = pyavd.validate_structured_config(config)
    said = getattr(result, "validation_errors", None) or getattr(result, "errors", None) or ()
    errors = [str(error) for error in said]
    found[name] = {"errors": errors, "text": "" if errors else pyavd.get_device_config(config)}
json.dump(found, sys.stdout)
