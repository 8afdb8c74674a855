package app

import (
	"encoding/base64"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/netip"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"time"

	"google.golang.org/protobuf/proto"

	"github.com/cagnotte/cagnotte/services/access"
	"github.com/cagnotte/cagnotte/services/campaigns"
	"github.com/cagnotte/cagnotte/services/internal/mail"
	"github.com/cagnotte/cagnotte/services/internal/rpc"
	"github.com/cagnotte/cagnotte/services/ledger"
	"github.com/cagnotte/cagnotte/services/notices"
	"github.com/cagnotte/cagnotte/services/wall"
)

// Config is the settings of the program. FromEnv fills the first part.
type Config struct {
	// DatabaseURL is DATABASE_URL, a Postgres URL or keyword string. It is required.
	DatabaseURL string
	// StripeAPIKey is STRIPE_API_KEY; a restricted key is enough. It is required. While a key is rolled it is a
	// comma-separated list of keys of one mode and account: the next one is used when Stripe no longer knows the one before.
	StripeAPIKey string
	// StripeAPIBase is STRIPE_API_BASE, the address of a simulator. Empty: Stripe itself.
	StripeAPIBase string
	// StripeWebhookSecrets and StripeConnectWebhookSecrets are STRIPE_WEBHOOK_SECRET and STRIPE_CONNECT_WEBHOOK_SECRET: the
	// signing secrets of the two endpoints, several while one is rolled. Those that the service stored are accepted too. An
	// endpoint without any refuses all requests.
	StripeWebhookSecrets        []string
	StripeConnectWebhookSecrets []string
	// PublicURL is CAGNOTTE_PUBLIC_URL without a slash at its end: the address for browsers. It is required.
	PublicURL string
	// OnionURL is CAGNOTTE_ONION_URL, the address in the Tor network, which pages name to Tor Browser. Empty: there is none.
	OnionURL string
	// Host is CAGNOTTE_HOST, the lines of who runs the service, for the legal notice. Empty: the pages do not say.
	Host []string
	// HTTPAddr, GRPCAddr and AdminAddr are CAGNOTTE_HTTP_ADDR, CAGNOTTE_GRPC_ADDR and CAGNOTTE_ADMIN_ADDR, where to listen.
	// FromEnv takes the ports 8080, 9090 and 9091 of 127.0.0.1 for those that are empty. Port 0 is any free port.
	HTTPAddr, GRPCAddr, AdminAddr string
	// SecretKey is CAGNOTTE_SECRET_KEY, at least 32 bytes. It is required.
	SecretKey []byte
	// FeeEstimate is CAGNOTTE_FEE_ESTIMATE, what a donor who covers the fee adds. Zero: donors cannot cover the fee.
	FeeEstimate campaigns.FeeEstimate
	// Chart is CAGNOTTE_CHART, the chart of accounts of new books, one of [ledger.Charts]. A book keeps its chart. Empty:
	// [ledger.DefaultChart].
	Chart string
	// DrainDelay is CAGNOTTE_DRAIN_DELAY, such as 5s, a minute at most: how long a program that was told to stop still
	// serves while it says that it is not ready, so that a load balancer leaves it. Default: zero.
	DrainDelay time.Duration
	// TrustedProxies is CAGNOTTE_TRUSTED_PROXIES, the networks whose X-Forwarded-For is trusted. FromEnv takes this machine
	// when it is empty.
	TrustedProxies []netip.Prefix
	// SMTPURL is SMTP_URL, the mail server. Empty: no mail is sent.
	SMTPURL string
	// AlertEmails is CAGNOTTE_ALERT_EMAILS, the addresses of the operator's notices. Empty: they are not mailed.
	AlertEmails []string

	// Logger gets one line for each call and each job. It is required.
	Logger *slog.Logger
	// Now is the clock of the domain; time.Now when nil. The demo and tests set it together with the simulator's.
	Now func() time.Time
	// StripeRate is the most calls to Stripe in a second. Zero: what Stripe allows, and no limit for a simulator.
	StripeRate float64
	// Wall is how many payments may be started; [wall.DefaultLimits] when zero.
	Wall wall.Limits
	// WriteLimit is how often one key may change something; the default of package rpc when zero.
	WriteLimit rpc.WriteLimit
	// SyncEvery is how often Stripe's balance is read without an event; 5 minutes when zero.
	SyncEvery time.Duration
	// authorize decides whether a call is allowed; that of package access when nil. Only a test of this package sets it, to
	// show that the database holds where the permission table does not.
	authorize func(p access.Principal, method string, req proto.Message) error
}

// FromEnv reads the settings. Its error names the first variable that is missing or wrong, and never has the value of a
// secret.
func FromEnv(getenv func(string) string) (Config, error) {
	cfg := Config{
		DatabaseURL:                 getenv("DATABASE_URL"),
		StripeAPIKey:                getenv("STRIPE_API_KEY"),
		StripeWebhookSecrets:        list(getenv("STRIPE_WEBHOOK_SECRET")),
		StripeConnectWebhookSecrets: list(getenv("STRIPE_CONNECT_WEBHOOK_SECRET")),
		HTTPAddr:                    withDefault(getenv("CAGNOTTE_HTTP_ADDR"), "127.0.0.1:8080"),
		GRPCAddr:                    withDefault(getenv("CAGNOTTE_GRPC_ADDR"), "127.0.0.1:9090"),
		AdminAddr:                   withDefault(getenv("CAGNOTTE_ADMIN_ADDR"), "127.0.0.1:9091"),
	}
	if cfg.DatabaseURL == "" {
		return Config{}, missing("DATABASE_URL", "postgres://user:password@host/database")
	}
	if cfg.StripeAPIKey == "" {
		return Config{}, missing("STRIPE_API_KEY", "a restricted key, rk_live_… or rk_test_…")
	}
	if err := checkStripeKeys(cfg.StripeAPIKey); err != nil {
		return Config{}, err
	}
	// A secret without its prefix may be the value of another setting. The error does not have it.
	for _, setting := range []struct {
		name    string
		secrets []string
	}{
		{"STRIPE_WEBHOOK_SECRET", cfg.StripeWebhookSecrets},
		{"STRIPE_CONNECT_WEBHOOK_SECRET", cfg.StripeConnectWebhookSecrets},
	} {
		for _, s := range setting.secrets {
			if !strings.HasPrefix(s, "whsec_") {
				return Config{}, fmt.Errorf("%s: each secret must begin with whsec_", setting.name)
			}
		}
	}
	var err error
	if base := getenv("STRIPE_API_BASE"); base != "" {
		if cfg.StripeAPIBase, err = baseURL("STRIPE_API_BASE", base); err != nil {
			return Config{}, err
		}
	}
	if cfg.PublicURL, err = baseURL("CAGNOTTE_PUBLIC_URL", getenv("CAGNOTTE_PUBLIC_URL")); err != nil {
		return Config{}, err
	}
	if cfg.OnionURL, err = onionURL(getenv("CAGNOTTE_ONION_URL")); err != nil {
		return Config{}, err
	}
	if cfg.Host, err = hostLines(getenv("CAGNOTTE_HOST")); err != nil {
		return Config{}, err
	}
	for _, setting := range []struct{ name, addr string }{
		{"CAGNOTTE_HTTP_ADDR", cfg.HTTPAddr},
		{"CAGNOTTE_GRPC_ADDR", cfg.GRPCAddr},
		{"CAGNOTTE_ADMIN_ADDR", cfg.AdminAddr},
	} {
		if _, _, err := net.SplitHostPort(setting.addr); err != nil {
			return Config{}, fmt.Errorf("%s: %q is not host:port", setting.name, setting.addr)
		}
	}
	if cfg.SecretKey, err = secretKey(getenv("CAGNOTTE_SECRET_KEY")); err != nil {
		return Config{}, err
	}
	if cfg.FeeEstimate, err = feeEstimate(getenv("CAGNOTTE_FEE_ESTIMATE")); err != nil {
		return Config{}, err
	}
	if cfg.Chart = getenv("CAGNOTTE_CHART"); cfg.Chart != "" && !slices.Contains(ledger.Charts(), cfg.Chart) {
		return Config{}, fmt.Errorf("CAGNOTTE_CHART: %q is not one of the charts of accounts: %s", cfg.Chart, strings.Join(ledger.Charts(), ", "))
	}
	if delay := getenv("CAGNOTTE_DRAIN_DELAY"); delay != "" {
		if cfg.DrainDelay, err = time.ParseDuration(delay); err != nil || cfg.DrainDelay < 0 || cfg.DrainDelay > time.Minute {
			return Config{}, fmt.Errorf("CAGNOTTE_DRAIN_DELAY: %q is not a duration from 0s to 60s, such as 5s", delay)
		}
	}
	// By default only proxies on this machine are trusted.
	for _, s := range list(withDefault(getenv("CAGNOTTE_TRUSTED_PROXIES"), "127.0.0.0/8,::1/128")) {
		prefix, err := netip.ParsePrefix(s)
		if err != nil {
			return Config{}, fmt.Errorf("CAGNOTTE_TRUSTED_PROXIES: %q is not a network such as 10.0.0.0/8", s)
		}
		cfg.TrustedProxies = append(cfg.TrustedProxies, prefix)
	}
	if cfg.SMTPURL = getenv("SMTP_URL"); cfg.SMTPURL != "" {
		if err := mail.Check(cfg.SMTPURL); err != nil {
			return Config{}, fmt.Errorf("SMTP_URL: %w", err)
		}
	}
	cfg.AlertEmails = list(getenv("CAGNOTTE_ALERT_EMAILS"))
	if err := notices.CheckOperatorEmails(cfg.AlertEmails); err != nil {
		return Config{}, fmt.Errorf("CAGNOTTE_ALERT_EMAILS: %w", err)
	}
	return cfg, nil
}

// checkStripeKeys wants keys, and of one mode: what they write goes into the same books.
func checkStripeKeys(keys string) error {
	live := 0
	all := strings.Split(keys, ",")
	for _, key := range all {
		key = strings.TrimSpace(key)
		if !hasPrefix(key, "sk_live_", "sk_test_", "rk_live_", "rk_test_") {
			return fmt.Errorf("STRIPE_API_KEY: must begin with rk_live_, rk_test_, sk_live_ or sk_test_")
		}
		if hasPrefix(key, "sk_live_", "rk_live_") {
			live++
		}
	}
	if live != 0 && live != len(all) {
		return fmt.Errorf("STRIPE_API_KEY: the keys must be all for live mode or all for test mode")
	}
	return nil
}

// missing is the error for a required variable that is not set.
func missing(name, example string) error {
	return fmt.Errorf("%s: is not set; it must be %s", name, example)
}

// secretKey reads 32 bytes or more in base64. The error does not have the value.
func secretKey(value string) ([]byte, error) {
	if value == "" {
		return nil, missing("CAGNOTTE_SECRET_KEY", "32 random bytes in base64: openssl rand -base64 32")
	}
	key, err := base64.StdEncoding.DecodeString(value)
	if err != nil || len(key) < 32 {
		return nil, fmt.Errorf("CAGNOTTE_SECRET_KEY: must be 32 random bytes in base64: openssl rand -base64 32")
	}
	return key, nil
}

// baseURL accepts scheme and host only, and plain http on this machine only: donors' pages
// and Stripe's redirects go there.
func baseURL(name, value string) (string, error) {
	if value == "" {
		return "", missing(name, "such as https://dons.example.org")
	}
	u, err := url.Parse(value)
	if err != nil || u.Host == "" || u.User != nil || strings.Trim(u.Path, "/") != "" || u.RawQuery != "" || u.Fragment != "" {
		return "", fmt.Errorf("%s: must be a scheme and a host, such as https://dons.example.org", name)
	}
	if u.Scheme != "https" && !(u.Scheme == "http" && isLoopback(u.Hostname())) {
		return "", fmt.Errorf("%s: must begin with https:// (http:// is for this machine only)", name)
	}
	return u.Scheme + "://" + u.Host, nil
}

// onionHost is the address of an onion service of version 3, the only one that Tor still has: 56 letters of base32.
var onionHost = regexp.MustCompile(`^([a-z0-9-]+\.)*[a-z2-7]{56}\.onion(:[0-9]{1,5})?$`)

// onionURL reads CAGNOTTE_ONION_URL. Tor encrypts by itself, so http is as good as https.
func onionURL(value string) (string, error) {
	if value == "" {
		return "", nil
	}
	u, err := url.Parse(value)
	if err != nil || u.Scheme != "http" && u.Scheme != "https" || !onionHost.MatchString(u.Host) || u.User != nil ||
		strings.Trim(u.Path, "/") != "" || u.RawQuery != "" || u.Fragment != "" {
		return "", errors.New("CAGNOTTE_ONION_URL: must be http:// and the name of an onion service: 56 letters and digits, then .onion")
	}
	return u.Scheme + "://" + u.Host, nil
}

// hostLines splits CAGNOTTE_HOST into its lines.
func hostLines(value string) (lines []string, err error) {
	for _, line := range strings.Split(value, "|") {
		if line = strings.TrimSpace(line); line != "" {
			lines = append(lines, line)
		}
	}
	if len(lines) > 8 || len(value) > 1000 {
		return nil, fmt.Errorf("CAGNOTTE_HOST: must have at most 8 lines, with | between them, and 1000 bytes")
	}
	return lines, nil
}

func isLoopback(host string) bool {
	ip, err := netip.ParseAddr(host)
	return host == "localhost" || err == nil && ip.IsLoopback()
}

func hasPrefix(s string, prefixes ...string) bool {
	for _, p := range prefixes {
		if strings.HasPrefix(s, p) {
			return true
		}
	}
	return false
}

// list splits a comma-separated setting, without spaces and empty items.
func list(s string) (items []string) {
	for _, item := range strings.Split(s, ",") {
		if item = strings.TrimSpace(item); item != "" {
			items = append(items, item)
		}
	}
	return items
}

func withDefault(s, def string) string {
	if s == "" {
		return def
	}
	return s
}
