-- Scale the app to zero; its namespace and guardrails stay.
obj.spec.suspend = true
return obj
