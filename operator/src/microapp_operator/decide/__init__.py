"""Pure decisions taken before anything is rendered: limits, egress, runtime, and what of it may run.

Imports gates, desired.context and model; never ports, adapters or anything that does I/O.
"""
