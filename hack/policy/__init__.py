"""Builds the policy bundle and what is generated beside it; runs the rules' cases through OPA."""
