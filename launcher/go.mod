// The launcher: sets variables from secret files and becomes the app. Static, without dependencies.
module microapps.dev/launcher

go 1.26.0
