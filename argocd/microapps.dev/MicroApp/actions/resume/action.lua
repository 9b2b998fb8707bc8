-- Run the app again.
obj.spec.suspend = false
return obj
