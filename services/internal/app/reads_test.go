package app_test

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/uuid"
	"google.golang.org/protobuf/types/known/fieldmaskpb"

	campaignsv1 "github.com/cagnotte/cagnotte/proto/cagnotte/campaigns/v1"
	"github.com/cagnotte/cagnotte/services/internal/apptest"
)

const (
	// readConnections are how many clients read at once, as fast as they are answered.
	readConnections = 32
	readFor         = 2 * time.Second
	// readers have the page open, each of which asks every 30 seconds, as the widget does. A proxy brings them by so many
	// connections, since the service takes fewer than there are readers.
	readers         = 10_000
	readersEvery    = 30 * time.Second
	proxyConnection = 500
	pollEvery       = readersEvery * proxyConnection / readers
	// starts are how many donations are started for each figure.
	starts = 300
)

// BenchmarkReads has the public reads of one campaign, whose story has 20 kB, beside nginx serving the same bytes as files: the
// same client, in the same run, in turns. of-nginx is the ratio.
//
//	go test ./services/internal/app -run '^$' -bench Reads -benchtime 1x
func BenchmarkReads(b *testing.B) {
	nginx := nginxProgram(b)
	e := apptest.Start(b, apptest.Config{NoContract: true, LogTo: io.Discard})
	campaign, _ := longStory(b, e)
	path := strings.NewReplacer("collectives/", "/c/", "/campaigns/", "/").Replace(campaign)
	for _, c := range []struct {
		name, path string
		known      bool
	}{
		{"campaign", "/v1/" + campaign, false},
		{"progress", "/v1/" + campaign + "/progress", false},
		{"progress-304", "/v1/" + campaign + "/progress", true},
		{"page", path + "?lang=fr", false},
		{"script", "/widget.js", false},
	} {
		b.Run(c.name, func(b *testing.B) {
			body, etag := fetchGzip(b, e.URL+c.path)
			file := serveByNginx(b, nginx, body)
			for b.Loop() {
				var ours, theirs float64
				for range 2 {
					known := ""
					if c.known {
						known = etag
					}
					ours += readRate(b, e.URL, c.path, known)
					if c.known {
						_, known = fetchGzip(b, file+"/file")
					}
					theirs += readRate(b, file, "/file", known)
				}
				b.ReportMetric(0, "ns/op")
				b.ReportMetric(ours/2, "reads/s")
				b.ReportMetric(theirs/2, "nginx/s")
				b.ReportMetric(ours/theirs, "of-nginx")
			}
		})
	}
}

// BenchmarkStartWhileRead starts donations one after the other, first alone, then while thousands of readers poll the
// progress. slower is the ratio of the times below which 99 of 100 stay.
func BenchmarkStartWhileRead(b *testing.B) {
	e := apptest.Start(b, apptest.Config{
		NoContract: true, LogTo: io.Discard, TrustedProxies: []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")},
	})
	campaign, _ := longStory(b, e)
	for b.Loop() {
		quiet := startTimes(b, e, campaign)
		ctx, cancel := context.WithCancel(b.Context())
		var polling sync.WaitGroup
		var polls atomic.Int64
		request := readRequest(e.URL, "/v1/"+campaign+"/progress", "")
		for i := range proxyConnection {
			polling.Go(func() { poll(ctx, b, e.URL, request, time.Duration(i)*pollEvery/proxyConnection, &polls) })
		}
		// All are there after the first round.
		time.Sleep(pollEvery + time.Second)
		before, begin := polls.Load(), time.Now()
		read := startTimes(b, e, campaign)
		rate := float64(polls.Load()-before) / time.Since(begin).Seconds()
		cancel()
		polling.Wait()
		b.ReportMetric(0, "ns/op")
		b.ReportMetric(quiet.Seconds()*1000, "quiet-p99-ms")
		b.ReportMetric(read.Seconds()*1000, "read-p99-ms")
		b.ReportMetric(read.Seconds()/quiet.Seconds(), "slower")
		b.ReportMetric(rate, "polls/s")
	}
}

// BenchmarkStory reads a page with a story of 20 kB and one with a story of 200 bytes. of-short is the ratio of reads a second:
// what the story costs is its bytes on the wire.
func BenchmarkStory(b *testing.B) {
	e := apptest.Start(b, apptest.Config{NoContract: true, LogTo: io.Discard})
	long, _ := longStory(b, e)
	short, shortKey := e.Campaign("court")
	setStory(b, e, short, shortKey, "Deux cents octets. "+strings.Repeat("Merci. ", 26))
	pageOf := func(campaign string) string {
		return strings.NewReplacer("collectives/", "/c/", "/campaigns/", "/").Replace(campaign) + "?lang=fr"
	}
	for b.Loop() {
		var ofLong, ofShort float64
		for range 2 {
			ofLong += readRate(b, e.URL, pageOf(long), "")
			ofShort += readRate(b, e.URL, pageOf(short), "")
		}
		b.ReportMetric(0, "ns/op")
		b.ReportMetric(ofLong/2, "reads/s")
		b.ReportMetric(ofShort/2, "short-reads/s")
		b.ReportMetric(ofLong/ofShort, "of-short")
	}
}

const (
	// hogs are the connections of one network that asks, as fast as it is answered, for what is not in memory.
	hogs = 64
	// honestReads are how many others read for each figure, each from a network of its own.
	honestReads = 500
)

// BenchmarkReadsBesideAHog has others read what must be rendered, one after the other, first alone, then while one network asks
// for all that it can. slower is the ratio of the times below which 99 of 100 stay. Each read of the others must be answered.
func BenchmarkReadsBesideAHog(b *testing.B) {
	e := apptest.Start(b, apptest.Config{
		NoContract: true, LogTo: io.Discard, TrustedProxies: []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")},
	})
	campaign, _ := longStory(b, e)
	page := strings.NewReplacer("collectives/", "/c/", "/campaigns/", "/").Replace(campaign)
	var asked atomic.Int64
	// Each of these is rendered: no two have the same origin, token or parameter.
	odd := func() string {
		n := asked.Add(1)
		return fmt.Sprintf([]string{
			page + "/embed?origin=https://hog%d.example", "/?page=%d", "/c/vallon?page=%d", "/v1/" + campaign + "?odd=%d",
			"/v1/instance/listedCampaigns?page_size=%d", page + "-%d",
		}[n%6], n)
	}
	for b.Loop() {
		quiet := honestTimes(b, e, page)
		ctx, cancel := context.WithCancel(b.Context())
		var hogging sync.WaitGroup
		var answered, refused atomic.Int64
		for range hogs {
			hogging.Go(func() { hog(ctx, b, e, odd, &answered, &refused) })
		}
		time.Sleep(time.Second)
		before, begin := answered.Load(), time.Now()
		beside := honestTimes(b, e, page)
		rate := float64(answered.Load()-before) / time.Since(begin).Seconds()
		cancel()
		hogging.Wait()
		b.ReportMetric(0, "ns/op")
		b.ReportMetric(quiet.Seconds()*1000, "quiet-p99-ms")
		b.ReportMetric(beside.Seconds()*1000, "beside-p99-ms")
		b.ReportMetric(beside.Seconds()/quiet.Seconds(), "slower")
		b.ReportMetric(rate, "hog-answers/s")
		b.ReportMetric(float64(refused.Load())/float64(max(1, answered.Load())), "hog-refused")
	}
}

// hog asks for one thing after the other until ctx ends.
func hog(ctx context.Context, b *testing.B, e *apptest.Env, path func() string, answered, refused *atomic.Int64) {
	conn, err := net.Dial("tcp", strings.TrimPrefix(e.URL, "http://"))
	if err != nil {
		b.Error(err)
		return
	}
	defer conn.Close()
	answers := bufio.NewReaderSize(conn, 64<<10)
	for ctx.Err() == nil {
		status, err := readOnce(conn, answers, from("192.0.2.1", readRequest(e.URL, path(), "")))
		if err != nil {
			b.Error(err)
			return
		}
		answered.Add(1)
		if status == http.StatusServiceUnavailable {
			refused.Add(1)
		}
	}
}

// from adds the address that a proxy says a request comes from.
func from(address string, request []byte) []byte {
	return append(request[:len(request)-2:len(request)-2], "X-Forwarded-For: "+address+"\r\n\r\n"...)
}

// honestTimes reads frames of as many sites, and returns the time below which 99 of 100 stayed.
func honestTimes(b *testing.B, e *apptest.Env, page string) time.Duration {
	b.Helper()
	conn, err := net.Dial("tcp", strings.TrimPrefix(e.URL, "http://"))
	if err != nil {
		b.Fatal(err)
	}
	defer conn.Close()
	answers := bufio.NewReaderSize(conn, 64<<10)
	times := make([]time.Duration, honestReads)
	for i := range times {
		request := from(fmt.Sprintf("10.%d.%d.1", i/250, i%250), readRequest(e.URL, page+"/embed?origin=https://"+uuid.NewString()+".example", ""))
		begin := time.Now()
		if status, err := readOnce(conn, answers, request); err != nil || status != http.StatusOK {
			b.Fatalf("a read is answered %d, %v", status, err)
		}
		times[i] = time.Since(begin)
	}
	slices.Sort(times)
	return times[honestReads*99/100]
}

// nginxProgram finds nginx, or skips.
func nginxProgram(b *testing.B) string {
	b.Helper()
	if out, err := exec.Command("../../../.tools/need", "nginx").CombinedOutput(); err != nil {
		b.Skipf("without nginx there is nothing to compare with: %s", bytes.TrimSpace(out))
	}
	for _, name := range []string{"nginx", "../../../.dev/bin/nginx", "/usr/sbin/nginx"} {
		if path, err := exec.LookPath(name); err == nil || errors.Is(err, exec.ErrDot) {
			if path, err = filepath.Abs(path); err == nil {
				return path
			}
		}
	}
	b.Skip("nginx is not there, though .tools/need found it")
	return ""
}

// serveByNginx serves the bytes as a file, compressed before, and returns the server's address.
func serveByNginx(b *testing.B, program string, packed []byte) string {
	b.Helper()
	dir := b.TempDir()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		b.Fatal(err)
	}
	address := listener.Addr().String()
	listener.Close()
	config := fmt.Sprintf(`
daemon off; worker_processes auto; pid %[1]s/pid; error_log stderr crit;
events { worker_connections 4096; }
http {
	access_log off; sendfile on; tcp_nopush on; etag on; gzip_static always; gunzip off;
	open_file_cache max=16; keepalive_requests 100000000; default_type application/json;
	client_body_temp_path %[1]s/a; proxy_temp_path %[1]s/b; fastcgi_temp_path %[1]s/c; uwsgi_temp_path %[1]s/d; scgi_temp_path %[1]s/e;
	server { listen %[2]s; root %[1]s; add_header Cache-Control "public, max-age=0"; }
}`, dir, address)
	for name, content := range map[string][]byte{"nginx.conf": []byte(config), "file.gz": packed} {
		if err := os.WriteFile(filepath.Join(dir, name), content, 0o644); err != nil {
			b.Fatal(err)
		}
	}
	// Started as root, nginx serves as another user, who must be able to read the directory and those above it.
	for d := dir; strings.HasPrefix(d, os.TempDir()+"/"); d = filepath.Dir(d) {
		if err := os.Chmod(d, 0o755); err != nil {
			b.Fatal(err)
		}
	}
	cmd := exec.Command(program, "-p", dir, "-c", filepath.Join(dir, "nginx.conf"))
	cmd.Stderr = os.Stderr
	if err := cmd.Start(); err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() {
		_ = cmd.Process.Signal(os.Interrupt)
		_ = cmd.Wait()
	})
	for range 100 {
		if conn, err := net.Dial("tcp", address); err == nil {
			conn.Close()
			return "http://" + address
		}
		time.Sleep(50 * time.Millisecond)
	}
	b.Fatal("nginx does not answer")
	return ""
}

// longStory publishes a campaign with a story of 20 kB.
func longStory(b *testing.B, e *apptest.Env) (campaign, key string) {
	b.Helper()
	campaign, key = e.Campaign("vallon")
	var story strings.Builder
	for i := 0; story.Len() < 19_900; i++ {
		fmt.Fprintf(&story, "Le **%d** mars, la mairie a posé la caméra nᵒ %d.\n\n", i%31+1, i)
	}
	setStory(b, e, campaign, key, string([]rune(story.String())[:min(19_000, len([]rune(story.String())))]))
	return campaign, key
}

func setStory(b *testing.B, e *apptest.Env, campaign, key, story string) {
	b.Helper()
	text := &campaignsv1.CampaignText{Title: "Une avocate", Story: story}
	_, err := campaignsv1.NewCampaignsServiceClient(e.Conn).UpdateCampaign(apptest.WithKey(b.Context(), key), &campaignsv1.UpdateCampaignRequest{
		Campaign:   &campaignsv1.Campaign{Name: campaign, Texts: map[string]*campaignsv1.CampaignText{"fr": text}},
		UpdateMask: &fieldmaskpb.FieldMask{Paths: []string{"texts"}},
	})
	if err != nil {
		b.Fatal(err)
	}
}

// fetchGzip returns an answer's bytes as they come over the wire, compressed or not, and its ETag.
func fetchGzip(b *testing.B, url string) (body []byte, etag string) {
	b.Helper()
	r, err := http.NewRequestWithContext(b.Context(), http.MethodGet, url, nil)
	if err != nil {
		b.Fatal(err)
	}
	r.Header.Set("Accept-Encoding", "gzip")
	resp, err := http.DefaultClient.Do(r)
	if err != nil {
		b.Fatal(err)
	}
	defer resp.Body.Close()
	body, err = io.ReadAll(resp.Body)
	if err != nil || resp.StatusCode != http.StatusOK {
		b.Fatalf("%s: %d, %v", url, resp.StatusCode, err)
	}
	return body, resp.Header.Get("ETag")
}

func readRequest(url, path, etag string) []byte {
	r := "GET " + path + " HTTP/1.1\r\nHost: " + strings.TrimPrefix(url, "http://") + "\r\nAccept-Encoding: gzip\r\nAccept-Language: fr\r\n"
	if etag != "" {
		r += "If-None-Match: " + etag + "\r\n"
	}
	return []byte(r + "\r\n")
}

// readRate is how many reads a second all connections get together. The client writes prepared bytes and reads little more than
// the length, so that it takes little of the machine from the server.
func readRate(b *testing.B, url, path, etag string) float64 {
	b.Helper()
	request := readRequest(url, path, etag)
	var reading sync.WaitGroup
	var done atomic.Int64
	begin := time.Now()
	for range readConnections {
		reading.Go(func() {
			conn, err := net.Dial("tcp", strings.TrimPrefix(url, "http://"))
			if err != nil {
				b.Error(err)
				return
			}
			defer conn.Close()
			answers, want := bufio.NewReaderSize(conn, 64<<10), 200
			if etag != "" {
				want = 304
			}
			for time.Since(begin) < readFor {
				if status, err := readOnce(conn, answers, request); err != nil || status != want {
					b.Errorf("%s%s: %d, %v", url, path, status, err)
					return
				}
				done.Add(1)
			}
		})
	}
	reading.Wait()
	return float64(done.Load()) / time.Since(begin).Seconds()
}

// readOnce sends a request and reads its answer.
func readOnce(conn net.Conn, answers *bufio.Reader, request []byte) (status int, err error) {
	if _, err := conn.Write(request); err != nil {
		return 0, err
	}
	length := 0
	for first := true; ; first = false {
		line, err := answers.ReadSlice('\n')
		if err != nil {
			return status, err
		}
		switch {
		case first:
			if status, err = strconv.Atoi(string(line[9:12])); err != nil {
				return 0, err
			}
		case len(line) <= 2:
			_, err := answers.Discard(length)
			return status, err
		case len(line) > 16 && bytes.EqualFold(line[:16], []byte("Content-Length: ")):
			if length, err = strconv.Atoi(string(bytes.TrimSpace(line[16:]))); err != nil {
				return 0, err
			}
		}
	}
}

// poll asks until ctx ends, first after a while. It connects when it asks first, because the service closes a connection on
// which nothing comes.
func poll(ctx context.Context, b *testing.B, url string, request []byte, after time.Duration, polls *atomic.Int64) {
	var conn net.Conn
	var answers *bufio.Reader
	for wait := after; ; wait = pollEvery {
		select {
		case <-ctx.Done():
			return
		case <-time.After(wait):
		}
		if conn == nil {
			var err error
			if conn, err = net.Dial("tcp", strings.TrimPrefix(url, "http://")); err != nil {
				b.Error(err)
				return
			}
			defer conn.Close()
			answers = bufio.NewReaderSize(conn, 4096)
		}
		if status, err := readOnce(conn, answers, request); err != nil || status != http.StatusOK {
			b.Errorf("a poll is answered %d, %v", status, err)
			return
		}
		polls.Add(1)
	}
}

// startTimes starts donations over HTTP, and returns the time below which 99 of 100 stayed.
func startTimes(b *testing.B, e *apptest.Env, campaign string) time.Duration {
	b.Helper()
	times := make([]time.Duration, starts)
	for i := range times {
		body := fmt.Sprintf(`{"donation":{"amount":{"currency_code":"EUR","amount_minor":"2000"},"locale":"fr"},"request_id":%q}`, uuid.NewString())
		begin := time.Now()
		resp, err := http.Post(e.URL+"/v1/"+campaign+"/donations", "application/json", strings.NewReader(body))
		if err != nil {
			b.Fatal(err)
		}
		_, _ = io.Copy(io.Discard, resp.Body)
		resp.Body.Close()
		if resp.StatusCode != http.StatusOK {
			b.Fatalf("a donation is answered %d", resp.StatusCode)
		}
		times[i] = time.Since(begin)
	}
	slices.Sort(times)
	return times[starts*99/100]
}
