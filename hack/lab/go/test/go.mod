// What of test(1) the secrets agent's startup probe calls; the images people run have the real one.
module microapps.dev/lab/test

go 1.26.0
