package web

import (
	"net/http"
	"strings"
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
	rest     *api.API
	registry *prometheus.Registry
	runs     *prometheus.CounterVec
	rows     *prometheus.CounterVec
	letters  *prometheus.CounterVec
	duration *prometheus.HistogramVec
	requests *prometheus.HistogramVec

	answers, work, places *prometheus.Desc

	success, lag, info, fileBytes, queue *prometheus.Desc
}

// newMetrics makes the metrics of a server and its API.
func newMetrics(s *Server, rest *api.API) *metrics {
	m := &metrics{
		server:   s,
		rest:     rest,
		runs:     prometheus.NewCounterVec(prometheus.CounterOpts{Name: "arus_runs_total", Help: "Runs that ended, by pipeline and status."}, []string{"pipeline", "status"}),
		rows:     prometheus.NewCounterVec(prometheus.CounterOpts{Name: "arus_rows_loaded_total", Help: "Rows that arrived at their destination."}, []string{"pipeline"}),
		letters:  prometheus.NewCounterVec(prometheus.CounterOpts{Name: "arus_dead_letters_total", Help: "Rows that became dead letters."}, []string{"pipeline"}),
		duration: prometheus.NewHistogramVec(prometheus.HistogramOpts{Name: "arus_run_duration_seconds", Help: "How long runs took.", Buckets: prometheus.ExponentialBuckets(0.1, 3, 10)}, []string{"pipeline"}),
		requests: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name: "arus_http_request_seconds", Help: "How long requests took in the program, but for streams.", Buckets: prometheus.ExponentialBuckets(0.001, 2, 14),
		}, []string{"kind"}),
		answers:   prometheus.NewDesc("arus_api_answers_total", "Answers of the API that may be held: those that came from memory, and those that were made.", []string{"from"}, nil),
		work:      prometheus.NewDesc("arus_run_work_total", "Pieces of work of runs that keep a processor busy: all, and those that waited for their place beside requests.", []string{"pieces"}, nil),
		places:    prometheus.NewDesc("arus_run_work_places", "Places for such work that are taken.", nil, nil),
		success:   prometheus.NewDesc("arus_pipeline_last_success_timestamp_seconds", "When the last successful run of a pipeline ended.", []string{"pipeline"}, nil),
		lag:       prometheus.NewDesc("arus_pipeline_lag_seconds", "How long ago the last successful run of a pipeline ended.", []string{"pipeline"}, nil),
		info:      prometheus.NewDesc("arus_pipeline_active", "1 for a pipeline whose schedule runs, else 0.", []string{"pipeline"}, nil),
		fileBytes: prometheus.NewDesc("arus_state_bytes", "Size of the state file and its write-ahead log.", []string{"file"}, nil),
		queue:     prometheus.NewDesc("arus_runs", "Runs that wait and that are going on.", []string{"state"}, nil),
	}
	m.registry = prometheus.NewRegistry()
	m.registry.MustRegister(m.runs, m.rows, m.letters, m.duration, m.requests, m,
		collectors.NewGoCollector(collectors.WithGoCollectorRuntimeMetrics(collectors.MetricsScheduler)), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	s.Control.Events.Observe(m.observe)
	return m
}

// handler is the handler of /metrics, behind the setting that says who may.
func (m *metrics) handler() http.Handler {
	return m.guard(promhttp.HandlerFor(m.registry, promhttp.HandlerOpts{MaxRequestsInFlight: 4, Timeout: 20 * time.Second}))
}

// timed takes the time of requests.
func (m *metrics) timed(next http.Handler) http.Handler {
	reads, others := m.requests.WithLabelValues("read"), m.requests.WithLabelValues("other")
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		began := m.server.Now()
		next.ServeHTTP(w, r)
		switch took := m.server.Now().Sub(began).Seconds(); {
		case strings.HasPrefix(w.Header().Get("Content-Type"), "text/event-stream"):
		case r.Method == http.MethodGet || r.Method == http.MethodHead:
			reads.Observe(took)
		default:
			others.Observe(took)
		}
	})
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
	for _, d := range []*prometheus.Desc{m.answers, m.work, m.places, m.success, m.lag, m.info, m.fileBytes, m.queue} {
		out <- d
	}
}

// Collect reads what stands in the state file.
func (m *metrics) Collect(out chan<- prometheus.Metric) {
	count := func(d *prometheus.Desc, value int64, label string) {
		out <- prometheus.MustNewConstMetric(d, prometheus.CounterValue, float64(value), label)
	}
	held, made := m.rest.Answers()
	count(m.answers, held, "memory")
	count(m.answers, made, "made")
	pace := m.server.Control.Pace.Stats()
	count(m.work, pace.Pieces, "all")
	count(m.work, pace.Waited, "waited")
	out <- prometheus.MustNewConstMetric(m.places, prometheus.GaugeValue, float64(pace.Inside))
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
