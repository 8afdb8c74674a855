// Package images stores the pictures of campaigns and collectives.
//
// A picture is decoded and encoded anew, so that nothing of the file that was sent is stored but its pixels: no place, no
// camera, no thumbnail, no trailing bytes. decode.go and encode.go are pure functions; store.go keeps the result.
//
//	sent             PNG, JPEG, WebP, or a GIF of which the first frame counts; told by the content, never by a name
//	limits           8 MiB, 25 million pixels, 30,000 a side; 10 million for files that take more memory: see decode.go
//	stored           JPEG, or PNG where it is transparent or smaller, in up to three widths
//	name             the SHA-256 of the largest variant, so that an address always has the same bytes
//
// # Invariants
//
//   - The same picture sent twice is one image.
//   - A collective has 100 images at most. One that neither a campaign nor the profile names is removed when another is
//     stored a day later. Foreign keys keep the others.
//   - One picture is decoded at a time in a process, since that takes memory.
//
// # Who sees what
//
// Members of the collective and the operator see all. Everybody else sees what a campaign that was published, or the
// collective's profile, names.
//
// # Neighbours
//
// It imports no sibling. Campaigns and collectives name an image by its id, with a foreign key; this package reads their
// tables in SQL to know which images are named, and which are public.
package images
