package web

import (
	"net"
	"net/http"
	"net/netip"
	"slices"
	"strings"

	"arus/app/api"
)

// proxied believes the proxies that the settings name: where they say a request
// comes from is where it comes from. Nobody else's word counts but that of a
// proxy on this machine.
func (s *Server) proxied(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		hops := r.Header.Values("X-Forwarded-For")
		if len(hops) == 0 && r.Header.Get("X-Forwarded-Proto") == "" {
			next.ServeHTTP(w, r)
			return
		}
		host, port, err := net.SplitHostPort(r.RemoteAddr)
		if err != nil {
			host, port = r.RemoteAddr, "0"
		}
		var trusted []netip.Prefix
		if settings, err := s.settings(r.Context()); err == nil {
			trusted = settings.TrustedProxies
		}
		believed := func(host string) bool {
			if api.IsLoopback(host) {
				return true
			}
			ip, err := netip.ParseAddr(host)
			return err == nil && slices.ContainsFunc(trusted, func(p netip.Prefix) bool { return p.Contains(ip.Unmap()) })
		}
		if believed(host) {
			r = api.WithSecure(r, strings.EqualFold(r.Header.Get("X-Forwarded-Proto"), "https"))
			// From the nearest hop on, as long as each is a proxy of ours.
			list := strings.Split(strings.Join(hops, ","), ",")
			for _, hop := range slices.Backward(list) {
				ip, err := netip.ParseAddr(strings.TrimSpace(hop))
				if err != nil || !believed(host) {
					break
				}
				host = ip.Unmap().String()
			}
			r.RemoteAddr = net.JoinHostPort(host, port)
		}
		next.ServeHTTP(w, r)
	})
}
