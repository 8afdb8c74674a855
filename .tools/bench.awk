# Reads what `go test -bench` prints and writes a table: what was measured, the limit of the same run
# where there is one, their ratio, and the bar. What has no bar is listed after it.
BEGIN {
	at_least("Post/callers=32/batch=1", "of-limit", 0.9, "posting, one commit each, to pgbench", "tx/s", "limit-tx/s")
	at_least("Post/callers=1/batch=100", "of-limit", 0.8, "posting by 100, 1 caller, to unnest", "tx/s", "limit-tx/s")
	at_least("Post/callers=8/batch=100", "of-limit", 0.8, "posting by 100, 8 callers, to unnest", "tx/s", "limit-tx/s")
	at_least("Post/callers=32/batch=1", "hot/spread", 0.95, "one campaign to a thousand")
	at_least("Post/callers=8/batch=100", "hot/spread", 0.95, "one campaign to a thousand, by 100")
	at_most("Post/callers=32/batch=1", "WAL-B/tx", 3000, "WAL of a donation, bytes")
	at_most("Post/stored", "B/tx", 2000, "stored of a donation, bytes")
	at_most("Post/callers=32/batch=1", "syncs/tx", 0.3, "syncs of a donation, one campaign")
	at_least("Seal/callers=32/batch=1", "of-unsealed", 0.9, "posting while sealing, to posting alone")
	at_least("Seal/callers=8/batch=100", "of-unsealed", 0.9, "the same by 100")
	at_most("Balance/now", "large/small", 1.5, "balance of 1,000,000 entries to 1,000")
	at_most("Balance/as-of", "large/small", 1.5, "the same as of a day")
	at_most("Balance/campaign", "large/small", 1.5, "a campaign's total, likewise")
	at_most("CSV", "of-copy", 1.5, "1,000,000 entries to CSV, to \\copy", "s", "copy-s")
	at_most("CSV", "MiB", 64, "memory of it, MiB")
	at_least("Receive/receive", "ratio", 0.6, "webhooks stored, to inserts")
	at_least("Burst", "ratio", 0.6, "webhooks over HTTP in a burst, to pgbench", "accepted/s", "limit/s")
	at_least("Reads/campaign", "of-nginx", 0.3, "a campaign in JSON, to nginx", "reads/s", "nginx/s")
	at_least("Reads/progress", "of-nginx", 0.3, "its progress, to nginx", "reads/s", "nginx/s")
	at_least("Reads/progress-304", "of-nginx", 0.3, "its progress, not changed, to nginx", "reads/s", "nginx/s")
	at_least("Reads/page", "of-nginx", 0.3, "its page with a story of 20 kB, to nginx", "reads/s", "nginx/s")
	at_least("Reads/script", "of-nginx", 0.8, "the widget's script, to nginx", "reads/s", "nginx/s")
	at_least("Story", "of-short", 0.7, "a page with a story of 20 kB, to 200 bytes", "reads/s", "short-reads/s")
	at_most("ReadsBesideAHog", "slower", 10, "p99 of a read while one network asks for all", "beside-p99-ms", "quiet-p99-ms")
	at_most("StartWhileRead", "slower", 2, "p99 of a donation while 10,000 poll, to alone", "read-p99-ms", "quiet-p99-ms")
	at_most("Burst", "calls/donation", 0.1, "calls to Stripe for a donation of a burst")
}

function at_least(name, unit, bar, what, measured, limit) { add(name, unit, bar, what, measured, limit, 1) }
function at_most(name, unit, bar, what, measured, limit) { add(name, unit, bar, what, measured, limit, -1) }
function add(name, unit, bar, what, measured, limit, sign) {
	names[++count] = name; units[count] = unit; bars[count] = bar; whats[count] = what
	measures[count] = measured; limits[count] = limit; signs[count] = sign
}

/^Benchmark/ {
	name = $1
	sub(/^Benchmark/, "", name)
	sub(/-[0-9]+$/, "", name)
	all[++benchmarks] = name
	for (i = 3; i < NF; i += 2) {
		value[name, $(i + 1)] = $i
		if ($(i + 1) != "ns/op" || $i > 0) line[name] = line[name] "  " $i " " $(i + 1)
	}
}

END {
	printf "%-42s %10s %10s %8s %9s\n", "what", "measured", "limit", "ratio", "bar"
	for (i = 1; i <= count; i++) {
		if (!((names[i], units[i]) in value)) {
			printf "%-42s %10s\n", whats[i], "missing"
			continue
		}
		v = value[names[i], units[i]]
		bar = (signs[i] > 0 ? ">= " : "<= ") bars[i]
		if (signs[i] * (v - bars[i]) < 0) bar = bar "  not reached"
		if (limits[i] != "") printf "%-42s %10s %10s %8s %9s\n", whats[i], value[names[i], measures[i]], value[names[i], limits[i]], v, bar
		else if (units[i] ~ /^(of-|ratio)|\/(spread|small)$/) printf "%-42s %10s %10s %8s %9s\n", whats[i], "", "", v, bar
		else printf "%-42s %10s %10s %8s %9s\n", whats[i], v, "", "", bar
	}
	print ""
	for (i = 1; i <= benchmarks; i++) print all[i] ":" line[all[i]]
}
