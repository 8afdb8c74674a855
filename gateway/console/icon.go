package console

import "html/template"

// icons are drawn on 24 units, in the colour of the text beside them. They say nothing that the text does not.
var icons = map[string]string{
	"home":     `<path d="M4 11.500 12 4l8 7.500V20h-5v-5h-6v5H4z"/>`,
	"flag":     `<path d="M6 21V4h11l-2 4 2 4H6"/>`,
	"share":    `<path d="M12 15V4m0 0L8 8m4-4 4 4M5 13v6h14v-6"/>`,
	"heart":    `<path d="M12 20C6 15.500 4 12.500 4 9.500 4 7 6 5 8.300 5c1.600 0 3 .9 3.700 2.300C12.700 5.900 14.100 5 15.700 5 18 5 20 7 20 9.500c0 3-2 6-8 10.500z"/>`,
	"bank":     `<path d="M4 9.500 12 5l8 4.500M5 20h14M7 10v7m5-7v7m5-7v7"/>`,
	"receipt":  `<path d="M6 3.500h12v17l-3-2-3 2-3-2-3 2zM9 8h6m-6 4h6"/>`,
	"back":     `<path d="M9 14 4 9l5-5M4 9h10a6 6 0 0 1 0 12h-3"/>`,
	"news":     `<path d="M5 5h14v14H5zM8 9h8m-8 3h8m-8 3h5"/>`,
	"book":     `<path d="M12 6c-2-1.500-5-1.800-8-1.500V18c3-.3 6 0 8 1.500 2-1.500 5-1.800 8-1.500V4.500c-3-.3-6 0-8 1.500zm0 0v13.500"/>`,
	"gear":     `<circle cx="12" cy="12" r="3"/><path d="M12 3v3m0 12v3M3 12h3m12 0h3M5.600 5.600l2.200 2.200m8.400 8.400 2.200 2.200M18.400 5.600l-2.200 2.200m-8.400 8.400-2.200 2.200"/>`,
	"people":   `<circle cx="9" cy="8" r="3.500"/><path d="M2.500 20c.5-4 3-6 6.500-6s6 2 6.500 6M16 5a3.500 3.500 0 0 1 0 6.500M18 14.500c2 .8 3.200 2.600 3.500 5.500"/>`,
	"person":   `<circle cx="12" cy="8" r="4"/><path d="M4.500 20.500c.6-4.500 3.400-6.500 7.500-6.500s6.900 2 7.500 6.500"/>`,
	"server":   `<path d="M4 5h16v6H4zM4 13h16v6H4zM7.500 8h.1m-.1 8h.1"/>`,
	"key":      `<circle cx="8" cy="15" r="4"/><path d="m11 12 8-8m-4 4 3 3"/>`,
	"bell":     `<path d="M6 17v-6a6 6 0 0 1 12 0v6l1.500 2h-15zM10 21h4"/>`,
	"help":     `<circle cx="12" cy="12" r="9"/><path d="M9.500 9.500a2.500 2.500 0 1 1 3.600 2.300c-.8.4-1.100 1-1.100 1.900m0 3h.1"/>`,
	"refund":   `<path d="M9 14 4 9l5-5M4 9h10.500a5.500 5.500 0 0 1 0 11H10"/>`,
	"menu":     `<path d="M4 7h16M4 12h16M4 17h16"/>`,
	"down":     `<path d="m7 10 5 5 5-5"/>`,
	"plus":     `<path d="M12 5v14M5 12h14"/>`,
	"check":    `<path d="m5 13 4.500 4.500L19 7"/>`,
	"alert":    `<path d="M12 4 2.500 20h19zM12 10v5m0 2.500h.1"/>`,
	"download": `<path d="M12 4v11m0 0-4-4m4 4 4-4M5 20h14"/>`,
	"search":   `<circle cx="10.500" cy="10.500" r="6"/><path d="m15 15 5 5"/>`,
	"seal":     `<path d="M12 3.500 19 6v6c0 4-2.800 7-7 8.500C7.800 19 5 16 5 12V6zM8.500 12l2.500 2.500 4.500-5"/>`,
}

// icon draws one of the icons; nothing for a name that is none.
func icon(name string) template.HTML {
	drawn := icons[name]
	if drawn == "" {
		return ""
	}
	return safeHTML(`<svg class="icon" viewBox="0 0 24 24" aria-hidden="true" focusable="false">` + drawn + `</svg>`)
}
