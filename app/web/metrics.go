package web

import (
	"net/http"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"arus/app/api"
	"arus/app/auth"
	"arus/app/control"
	"arus/app/model"
)

// metrics are the figures for Prometheus: what happened since the start is
// counted as it happens, what stands in the state file is read when it is asked
// for.
type metrics struct {
	server   *Server
	runs     *prometheus.CounterVec
	rows     *prometheus.CounterVec
	letters  *prometheus.CounterVec
	duration *prometheus.HistogramVec

	success, lag, info, fileBytes, queue *prometheus.Desc
}

// newMetrics is the handler of /metrics, behind the setting that says who may.
func newMetrics(s *Server) http.Handler {
	m := &metrics{
		server:    s,
		runs:      prometheus.NewCounterVec(prometheus.CounterOpts{Name: "arus_runs_total", Help: "Runs that ended, by pipeline and status."}, []string{"pipeline", "status"}),
		rows:      prometheus.NewCounterVec(prometheus.CounterOpts{Name: "arus_rows_loaded_total", Help: "Rows that arrived at their destination."}, []string{"pipeline"}),
		letters:   prometheus.NewCounterVec(prometheus.CounterOpts{Name: "arus_dead_letters_total", Help: "Rows that became dead letters."}, []string{"pipeline"}),
		duration:  prometheus.NewHistogramVec(prometheus.HistogramOpts{Name: "arus_run_duration_seconds", Help: "How long runs took.", Buckets: prometheus.ExponentialBuckets(0.1, 3, 10)}, []string{"pipeline"}),
		success:   prometheus.NewDesc("arus_pipeline_last_success_timestamp_seconds", "When the last successful run of a pipeline ended.", []string{"pipeline"}, nil),
		lag:       prometheus.NewDesc("arus_pipeline_lag_seconds", "How long ago the last successful run of a pipeline ended.", []string{"pipeline"}, nil),
		info:      prometheus.NewDesc("arus_pipeline_active", "1 for a pipeline whose schedule runs, else 0.", []string{"pipeline"}, nil),
		fileBytes: prometheus.NewDesc("arus_state_bytes", "Size of the state file and its write-ahead log.", []string{"file"}, nil),
		queue:     prometheus.NewDesc("arus_runs", "Runs that wait and that are going on.", []string{"state"}, nil),
	}
	registry := prometheus.NewRegistry()
	registry.MustRegister(m.runs, m.rows, m.letters, m.duration, m, collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	s.Control.Events.Observe(m.observe)
	return m.guard(promhttp.HandlerFor(registry, promhttp.HandlerOpts{MaxRequestsInFlight: 4, Timeout: 20 * time.Second}))
}

// observe counts the runs that end.
func (m *metrics) observe(e control.Event) {
	run, ok := e.Data.(control.RunEvent)
	if !ok || e.Type != control.RunFinished {
		return
	}
	m.runs.WithLabelValues(run.PipelineName, string(run.Status)).Inc()
	m.rows.WithLabelValues(run.PipelineName).Add(float64(run.RowsSynced))
	m.duration.WithLabelValues(run.PipelineName).Observe(float64(run.DurationMS) / 1000)
	if run.Report != nil {
		m.letters.WithLabelValues(run.PipelineName).Add(float64(run.Report.DeadLetters))
	}
}

// Describe names what Collect gives.
func (m *metrics) Describe(out chan<- *prometheus.Desc) {
	for _, d := range []*prometheus.Desc{m.success, m.lag, m.info, m.fileBytes, m.queue} {
		out <- d
	}
}

// Collect reads what stands in the state file.
func (m *metrics) Collect(out chan<- prometheus.Metric) {
	ctx := scheduleContext()
	v, err := m.server.Control.Vitals(ctx)
	if err != nil {
		out <- prometheus.NewInvalidMetric(m.queue, err)
		return
	}
	gauge := func(d *prometheus.Desc, value float64, label string) {
		out <- prometheus.MustNewConstMetric(d, prometheus.GaugeValue, value, label)
	}
	gauge(m.fileBytes, float64(v.FileBytes), "state")
	gauge(m.fileBytes, float64(v.LogBytes), "log")
	gauge(m.queue, float64(v.Waiting), "queued")
	gauge(m.queue, float64(v.Running), "running")
	for _, p := range v.Pipelines {
		active := 0.0
		if p.Status == model.PipelineActive {
			active = 1
		}
		gauge(m.info, active, p.Name)
		if !p.LastSuccess.IsZero() {
			gauge(m.success, float64(p.LastSuccess.UnixMilli())/1000, p.Name)
			gauge(m.lag, max(0, m.server.Now().Sub(p.LastSuccess).Seconds()), p.Name)
		}
	}
}

// guard lets in whom the setting names: this machine, or whoever may read.
func (m *metrics) guard(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		settings, err := m.server.settings(r.Context())
		if err != nil {
			plain(w, http.StatusInternalServerError, "the settings cannot be read")
			return
		}
		switch {
		case settings.Metrics == model.MetricsOff:
			http.NotFound(w, r)
			return
		case settings.Metrics == model.MetricsLocal && api.IsLoopback(api.ClientAddress(r)):
		default:
			ctx, err := api.Identify(m.server.Control, r)
			if err == nil {
				err = auth.Check(ctx, auth.Read)
			}
			if err != nil {
				w.Header().Set("WWW-Authenticate", `Bearer realm="arus"`)
				plain(w, http.StatusUnauthorized, "a token is needed, or the setting metrics=local and a request from this machine")
				return
			}
		}
		next.ServeHTTP(w, r)
	})
}
