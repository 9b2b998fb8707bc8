"""Commands for people and pipelines: files in, words and exit codes out. No cluster is asked.

Must not import reconcile, admission or kopf.
"""
