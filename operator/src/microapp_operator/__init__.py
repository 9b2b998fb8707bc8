"""The MicroApp operator: one MicroApp in, one confined, observable, accountable runtime out."""
