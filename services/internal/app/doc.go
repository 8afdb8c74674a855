// Package app wires the program: settings, pool, services, jobs, the gRPC server
// and the gateway in front of it, and takes it down again in the reverse order.
//
// [Start] answers once every address is listening; a database that is away or a
// schema that is too old does not stop it, but keeps it from being ready: health
// says NOT_SERVING, /readyz says 503, and no job runs. [App.Stop] stops to accept,
// lets calls and jobs end, and closes. The process holds no state that another copy
// of it would need.
//
// It is the only package that knows every service and the gateway. The commands of
// services/cmd know this package alone.
package app
