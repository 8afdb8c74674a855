// Package widget serves the script that other people's sites embed, at /widget.js and at an address of each version: see
// [Script].
//
//	<script src="https://dons.example/widget.js" defer></script>
//	<cagnotte-widget campaign="collectives/x/campaigns/y" lang="fr" style="display:block;min-height:48em">
//	  <a href="https://dons.example/c/x/y">Donner</a>
//	</cagnotte-widget>
//
// The script is written by hand, for browsers as they are, and assembled here out of widget.js, words.js and widget.css. The
// words of the page's language come beside the campaign, one file a language, because all of them would weigh too much; unknown languages get French. It promises: nothing is loaded from
// elsewhere, no cookie, no storage, no HTML parsed, no inline style or script, so that a host page needs no more in its content
// policy than
//
//	script-src https://dons.example; connect-src https://dons.example
//
// and 12 kB at most on the wire, words included. The height that the page reserves keeps what stands
// below in its place: see KEPT in widget.js.
//
//	state        what a donor sees                                what the page's owner is told
//	before       what stands inside the element
//	open         progress, form, other ways, stages
//	closed       progress and why there is no form, stages
//	no cards     the other ways alone
//	unreachable  a sentence, what stands inside the element
//	misplaced    a sentence, a link that works                    attribute, origin, or no published campaign of this name
//
// What is wrong with the form stands at its field, and in a summary that leads there; what is wrong elsewhere stands at the
// button. Amounts are read as package money reads them. A host page adapts it by custom properties
// (--cagnotte-accent, --cagnotte-on-accent, --cagnotte-background, --cagnotte-text,
// --cagnotte-muted, --cagnotte-border, --cagnotte-field for what can be filled in,
// --cagnotte-error, --cagnotte-radius, --cagnotte-font) and by ::part (card, collective, title,
// raised, goal, percent, bar, settled, waiting, pending, deadline, stages, stage, presets, preset,
// often, amount, cover, button, error, note, link, closed).
package widget
