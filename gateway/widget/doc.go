// Package widget serves /widget.js, which other people's sites embed:
//
//	<script src="https://dons.example/widget.js" defer></script>
//	<cagnotte-widget campaign="collectives/x/campaigns/y" lang="fr">
//	  <a href="https://dons.example/c/x/y">Donner</a>
//	</cagnotte-widget>
//
// The script is written by hand, for browsers as they are, and assembled here out of
// widget.js, words.js, widget.css and one catalogue a language. It promises: nothing is loaded from
// elsewhere, no cookie, no storage, no HTML parsed, no inline style or script, so that a
// host page needs no more in its content policy than
//
//	script-src https://dons.example; connect-src https://dons.example
//
// and 12 kB at most on the wire. A host page adapts it by custom properties
// (--cagnotte-accent, --cagnotte-on-accent, --cagnotte-background, --cagnotte-text,
// --cagnotte-muted, --cagnotte-border, --cagnotte-field for what can be filled in,
// --cagnotte-error, --cagnotte-radius, --cagnotte-font) and by ::part (card, collective, title,
// raised, goal, percent, bar, settled, waiting, pending, deadline, stages, stage, presets, preset,
// amount, button, error, note, link, closed).
package widget
