package images

import (
	"bytes"
	"context"
	"encoding/binary"
	"hash/crc32"
	"image"
	"image/color"
	"image/gif"
	"image/jpeg"
	"image/png"
	"math/rand/v2"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"

	errorsv1 "github.com/cagnotte/cagnotte/proto/cagnotte/errors/v1"
	"github.com/cagnotte/cagnotte/services/internal/errs"
	"github.com/cagnotte/cagnotte/services/internal/pgtest"
)

func TestMain(m *testing.M) { pgtest.Main(m) }

// photo is a picture whose left half is red and whose right half is blue, with noise that does not compress.
func photo(w, h int, alpha uint8) *image.NRGBA {
	m := image.NewNRGBA(image.Rect(0, 0, w, h))
	r := rand.New(rand.NewPCG(1, 2))
	for y := range h {
		for x := range w {
			c := color.NRGBA{R: 200, A: alpha}
			if x >= w/2 {
				c = color.NRGBA{B: 200, A: alpha}
			}
			c.G = uint8(r.IntN(50))
			m.SetNRGBA(x, y, c)
		}
	}
	return m
}

func asJPEG(t *testing.T, m image.Image) []byte {
	t.Helper()
	var b bytes.Buffer
	if err := jpeg.Encode(&b, m, nil); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func asPNG(t *testing.T, m image.Image) []byte {
	t.Helper()
	var b bytes.Buffer
	if err := png.Encode(&b, m); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// withExif puts an orientation, a place and a thumbnail's worth of bytes into a JPEG.
func withExif(file []byte, turn uint16) []byte {
	var tiff bytes.Buffer
	tiff.WriteString("Exif\x00\x00MM\x00*\x00\x00\x00\x08")
	_ = binary.Write(&tiff, binary.BigEndian, []uint16{1, 0x0112, 3, 0, 1, turn, 0})
	tiff.WriteString("GPS 44.35 N 2.57 E")
	head := []byte{0xff, 0xd8, 0xff, 0xe1, 0, 0}
	binary.BigEndian.PutUint16(head[4:], uint16(tiff.Len()+2))
	return append(append(head, tiff.Bytes()...), file[2:]...)
}

func TestPicturesAreEncodedAnew(t *testing.T) {
	var animation bytes.Buffer
	palette := color.Palette{color.White, color.Black}
	if err := gif.EncodeAll(&animation, &gif.GIF{
		Image: []*image.Paletted{image.NewPaletted(image.Rect(0, 0, 9, 9), palette), image.NewPaletted(image.Rect(0, 0, 9, 9), palette)},
		Delay: []int{1, 1},
	}); err != nil {
		t.Fatal(err)
	}
	for _, test := range []struct {
		rule        string
		file        []byte
		contentType string
		widths      []int
		height      int
	}{
		{"a photo", asJPEG(t, photo(1700, 850, 255)), "image/jpeg", []int{400, 800, 1600}, 800},
		{"a small one", asJPEG(t, photo(300, 200, 255)), "image/jpeg", []int{300}, 200},
		{"one that is as wide as a width", asJPEG(t, photo(800, 400, 255)), "image/jpeg", []int{400, 800}, 400},
		{"a tall one", asJPEG(t, photo(400, 4000, 255)), "image/jpeg", []int{80}, 800},
		{"a drawing", asPNG(t, image.NewNRGBA(image.Rect(0, 0, 500, 500))), "image/png", []int{400, 500}, 500},
		{"a transparent photo", asPNG(t, photo(1500, 1500, 128)), "image/jpeg", []int{400, 800, 1500}, 1500},
		{"an animation", animation.Bytes(), "image/png", []int{9}, 9},
		{"one pixel", asPNG(t, photo(1, 1, 255)), "image/png", []int{1}, 1},
	} {
		t.Run(test.rule, func(t *testing.T) {
			p, err := decode(test.file)
			if err != nil {
				t.Fatal(err)
			}
			_, variants, err := encode(p)
			if err != nil {
				t.Fatal(err)
			}
			largest := variants[len(variants)-1]
			var widths []int
			for _, v := range variants {
				widths = append(widths, v.Width)
				decoded, kind, err := image.Decode(bytes.NewReader(v.Body))
				if err != nil || decoded.Bounds().Dx() != v.Width || decoded.Bounds().Dy() != v.Height || "image/"+kind != v.ContentType {
					t.Errorf("%d: %v, %s, %v", v.Width, decoded.Bounds(), kind, err)
				}
			}
			if len(widths) != len(test.widths) || widths[len(widths)-1] != test.widths[len(test.widths)-1] || largest.Height != test.height {
				t.Errorf("widths %v, height %d, want %v, %d", widths, largest.Height, test.widths, test.height)
			}
			if largest.ContentType != test.contentType {
				t.Errorf("%s, want %s", largest.ContentType, test.contentType)
			}
		})
	}
}

func TestWhatTheCameraWroteIsGoneAndThePictureUpright(t *testing.T) {
	plain := asJPEG(t, photo(60, 40, 255))
	for turn := uint16(1); turn <= 8; turn++ {
		file := withExif(plain, turn)
		p, err := decode(file)
		if err != nil {
			t.Fatal(err)
		}
		_, variants, err := encode(p)
		if err != nil {
			t.Fatal(err)
		}
		for _, v := range variants {
			if bytes.Contains(v.Body, []byte("Exif")) || bytes.Contains(v.Body, []byte("GPS")) {
				t.Errorf("turn %d: what the camera wrote is there", turn)
			}
		}
		m, _, err := image.Decode(bytes.NewReader(variants[0].Body))
		if err != nil {
			t.Fatal(err)
		}
		// Where the red half is, by https://www.cipa.jp/std/documents/e/DC-008-2012_E.pdf, 4.6.4.
		want := map[uint16]image.Point{1: {5, 20}, 2: {55, 20}, 3: {55, 20}, 4: {5, 20}, 5: {20, 5}, 6: {20, 5}, 7: {20, 55}, 8: {20, 55}}[turn]
		if r, _, b, _ := m.At(want.X, want.Y).RGBA(); r < b {
			t.Errorf("turn %d: %v of %v is not red", turn, want, m.Bounds())
		}
	}
}

// bomb is a PNG of a few bytes that says it has many pixels.
func bomb(t *testing.T, w, h uint32) []byte {
	t.Helper()
	file := asPNG(t, photo(1, 1, 255))
	binary.BigEndian.PutUint32(file[16:], w)
	binary.BigEndian.PutUint32(file[20:], h)
	binary.BigEndian.PutUint32(file[29:], crc32.ChecksumIEEE(file[12:29]))
	return file
}

// progressive is the head of a progressive JPEG of 16 million pixels, with bytes between its first two markers.
func progressive(t *testing.T, between string) []byte {
	t.Helper()
	file := asJPEG(t, photo(1, 1, 255))
	at := bytes.Index(file, []byte{0xff, 0xc0})
	file[at+1] = 0xc2
	binary.BigEndian.PutUint16(file[at+5:], 4000)
	binary.BigEndian.PutUint16(file[at+7:], 4000)
	return append([]byte("\xff\xd8"+between), file[2:]...)
}

func TestWhatIsNoPicture(t *testing.T) {
	deep := image.NewNRGBA64(image.Rect(0, 0, 1, 1))
	costly := asPNG(t, deep)
	binary.BigEndian.PutUint32(costly[16:], 4000)
	binary.BigEndian.PutUint32(costly[20:], 4000)
	binary.BigEndian.PutUint32(costly[29:], crc32.ChecksumIEEE(costly[12:29]))
	for _, test := range []struct {
		rule string
		file []byte
		want errorsv1.ErrorReason
	}{
		{"nothing", nil, errorsv1.ErrorReason_IMAGE_UNREADABLE},
		{"a text", []byte("hello"), errorsv1.ErrorReason_IMAGE_UNREADABLE},
		{"a page", []byte("<html><script>"), errorsv1.ErrorReason_IMAGE_UNREADABLE},
		{"a drawing that runs scripts", []byte(`<svg xmlns="http://www.w3.org/2000/svg" onload="x"/>`), errorsv1.ErrorReason_IMAGE_UNREADABLE},
		{"the beginning of a photo", asJPEG(t, photo(100, 100, 255))[:300], errorsv1.ErrorReason_IMAGE_UNREADABLE},
		{"only a signature", []byte("\x89PNG\r\n\x1a\n"), errorsv1.ErrorReason_IMAGE_UNREADABLE},
		{"only RIFF", []byte("RIFF\x00\x00\x00\x00WEBPVP8 "), errorsv1.ErrorReason_IMAGE_UNREADABLE},
		{"too many pixels", bomb(t, 30_000, 30_000), errorsv1.ErrorReason_IMAGE_TOO_LARGE},
		{"too many of sixteen bits", costly, errorsv1.ErrorReason_IMAGE_TOO_LARGE},
		{"a line of pixels", bomb(t, 1, 25_000_000), errorsv1.ErrorReason_IMAGE_TOO_LARGE},
		{"too many of a progressive JPEG", progressive(t, ""), errorsv1.ErrorReason_IMAGE_TOO_LARGE},
		{"of one after bytes of no segment", progressive(t, "\xff\xd0\x00\x04"), errorsv1.ErrorReason_IMAGE_TOO_LARGE},
		{"of one behind a frame that decoders skip", progressive(t, "\xff\xd0\xff\xe1\x00\x06\xff\xc0\x00\x02"), errorsv1.ErrorReason_IMAGE_TOO_LARGE},
		{"sides whose product overflows", bomb(t, 1<<31-1, 1<<31-1), errorsv1.ErrorReason_IMAGE_UNREADABLE},
		{"too many bytes", append(asPNG(t, photo(1, 1, 255)), make([]byte, maxBytes)...), errorsv1.ErrorReason_IMAGE_TOO_LARGE},
	} {
		_, err := decode(test.file)
		got := errorsv1.ErrorReason_ERROR_REASON_UNSPECIFIED
		if err != nil {
			got = errs.As(err).Reason
		}
		if got != test.want && !(test.rule == "sides whose product overflows" && got == errorsv1.ErrorReason_IMAGE_TOO_LARGE) {
			t.Errorf("%s: got %v (%v), want %v", test.rule, got, err, test.want)
		}
	}
}

func FuzzDecode(f *testing.F) {
	var b bytes.Buffer
	_ = jpeg.Encode(&b, photo(20, 20, 255), nil)
	f.Add(b.Bytes())
	f.Add(withExif(b.Bytes(), 6))
	f.Add([]byte("RIFF\x24\x00\x00\x00WEBPVP8X\x0a\x00\x00\x00"))
	f.Fuzz(func(t *testing.T, file []byte) {
		p, err := decode(file)
		if err == nil && p.Bounds().Dx()*p.Bounds().Dy() < 1<<16 {
			if _, _, err := encode(p); err != nil {
				t.Error(err)
			}
		}
	})
}

// fresh returns the service on a database with two collectives and a campaign.
func fresh(t *testing.T) (*Service, *pgxpool.Pool, *time.Time) {
	t.Helper()
	pool, now := pgtest.New(t), time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	for _, statement := range []string{
		`INSERT INTO collectives.collectives (id, display_name, stripe_account, time_zone, created_at, updated_at)
			VALUES ('vallon', 'Vallon', '', 'Europe/Paris', now(), now()), ('autre', 'Autre', '', 'Europe/Paris', now(), now())`,
		`INSERT INTO campaigns.campaigns (collective, id, texts, currency, goal_minor, presets_minor, minimum_minor, maximum_minor,
			stages, allowed_origins, state, created_at, updated_at)
			VALUES ('vallon', 'avocat', '{"fr": {"title": "a"}}', 'EUR', 1, '{}', 1, 1, '[]', '{}', 'draft', now(), now())`,
	} {
		if _, err := pool.Exec(context.Background(), statement); err != nil {
			t.Fatal(err)
		}
	}
	return New(Config{Pool: pool, Now: func() time.Time { return now }}), pool, &now
}

func TestImagesAreStoredByTheirContent(t *testing.T) {
	s, pool, now := fresh(t)
	ctx := context.Background()
	file := asPNG(t, photo(500, 300, 255))
	created, err := s.Create(ctx, "vallon", file)
	if err != nil {
		t.Fatal(err)
	}
	var all sync.WaitGroup
	for range 4 {
		all.Go(func() {
			if again, err := s.Create(ctx, "vallon", append(bytes.Clone(file), "trailing"...)); err != nil || again.ID != created.ID {
				t.Errorf("sent again: %+v, %v", again, err)
			}
		})
	}
	all.Wait()
	content, err := s.Content(ctx, "vallon", created.ID, 400, true)
	if err != nil || len(content.Body) == 0 {
		t.Fatalf("%v", err)
	}
	if _, err := s.Create(ctx, "none", file); errs.As(err).Reason != errorsv1.ErrorReason_NOT_FOUND {
		t.Errorf("a missing collective: %v", err)
	}

	t.Run("and shown to the public when what names them is public", func(t *testing.T) {
		sees := func() bool {
			t.Helper()
			_, err := s.Content(ctx, "vallon", created.ID, 0, false)
			_, getErr := s.Get(ctx, "vallon", created.ID, false)
			if (err == nil) != (getErr == nil) {
				t.Errorf("content: %v, image: %v", err, getErr)
			}
			return err == nil
		}
		set := func(statement string) {
			t.Helper()
			if _, err := pool.Exec(ctx, statement, created.ID); err != nil {
				t.Fatal(err)
			}
		}
		if sees() {
			t.Error("nothing names it, and it is public")
		}
		set("UPDATE campaigns.campaigns SET image = $1")
		if sees() {
			t.Error("a draft names it, and it is public")
		}
		set("UPDATE campaigns.campaigns SET state = 'published', published_at = now() WHERE image = $1")
		if !sees() {
			t.Error("a published campaign names it, and it is not public")
		}
		if _, err := s.Content(ctx, "autre", created.ID, 0, false); err == nil {
			t.Error("another collective has it")
		}
		set("UPDATE campaigns.campaigns SET image = NULL WHERE image = $1")
		set("INSERT INTO collectives.profiles VALUES ('vallon', '{}', '', '', '', $1, 1, now())")
		if !sees() {
			t.Error("the profile names it, and it is not public")
		}
	})
	t.Run("and removed when nothing names them for a day", func(t *testing.T) {
		unnamed, err := s.Create(ctx, "vallon", asPNG(t, photo(20, 20, 255)))
		if err != nil {
			t.Fatal(err)
		}
		*now = now.Add(25 * time.Hour)
		if _, err := s.Create(ctx, "vallon", asPNG(t, photo(30, 20, 255))); err != nil {
			t.Fatal(err)
		}
		if _, err := s.Get(ctx, "vallon", unnamed.ID, true); errs.As(err).Reason != errorsv1.ErrorReason_NOT_FOUND {
			t.Errorf("the one that nothing names: %v", err)
		}
		if _, err := s.Get(ctx, "vallon", created.ID, true); err != nil {
			t.Errorf("the logo: %v", err)
		}
	})
	t.Run("and not without end", func(t *testing.T) {
		if _, err := pool.Exec(ctx, `INSERT INTO images.images SELECT 'autre', lpad(i::text, 64, '0'), 1, 1, now() + interval '1 year'
			FROM generate_series(1, 100) AS i`); err != nil {
			t.Fatal(err)
		}
		if _, err := s.Create(ctx, "autre", file); errs.As(err).Reason != errorsv1.ErrorReason_TOO_MANY_IMAGES {
			t.Errorf("got %v", err)
		}
	})
	if !strings.HasPrefix(created.Name(), "collectives/vallon/images/") {
		t.Error(created.Name())
	}
}
