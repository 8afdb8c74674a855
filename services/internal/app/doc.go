// Package app makes the program of its parts: settings, database pool, services, jobs, the gRPC server and the gateway in
// front of it. It stops them in the reverse order.
//
// [Start] returns once every address is listening. A database that does not answer, or a schema that is too old, does not
// stop it. Until both are right the program is not ready: health says NOT_SERVING, /readyz answers 503, and no job runs.
// [App.Stop] accepts no more calls, lets calls and jobs end, and closes. The process holds no state that another copy of
// the program would need.
//
// config.go reads the settings, services.go makes the services and registers them, ready.go watches the database and
// starts the jobs, connections.go and http.go bound what one client may take, commands.go and the stripe files are the
// commands.
//
// It is the only package that knows all services and the gateway. The commands of services/cmd know this package alone.
package app
