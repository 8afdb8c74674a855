package gateway

import (
	"io"
	"net/http"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/health/grpc_health_v1"

	errorsv1 "github.com/cagnotte/cagnotte/proto/cagnotte/errors/v1"
)

// healthService is the name under which the service reports its health.
const healthService = "cagnotte"

// alive answers that the process runs. It checks no dependency: a restart would not bring a database back.
func alive(w http.ResponseWriter, _ *http.Request) {
	writeHealth(w, "SERVING")
}

// ready says whether requests can be served: 503 while the database is away or
// its schema too old.
func ready(conn grpc.ClientConnInterface) http.Handler {
	client := grpc_health_v1.NewHealthClient(conn)
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		ctx, cancel := withTimeout(r.Context())
		defer cancel()
		answer, err := client.Check(ctx, &grpc_health_v1.HealthCheckRequest{Service: healthService})
		if err == nil && answer.GetStatus() == grpc_health_v1.HealthCheckResponse_SERVING {
			writeHealth(w, answer.GetStatus().String())
			return
		}
		// A call that failed counts as not serving.
		state := grpc_health_v1.HealthCheckResponse_NOT_SERVING
		if err == nil {
			state = answer.GetStatus()
		}
		writeError(r.Context(), w, retryable(failure(errorsv1.ErrorReason_NOT_READY,
			"The service is not ready: "+state.String()+"."), 2*time.Second))
	})
}

func writeHealth(w http.ResponseWriter, state string) {
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Cache-Control", "no-store")
	_, _ = io.WriteString(w, `{"status":"`+state+`"}`+"\n")
}
