package campaigns

import (
	"context"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"

	campaignsv1 "github.com/cagnotte/cagnotte/proto/cagnotte/campaigns/v1"
	errorsv1 "github.com/cagnotte/cagnotte/proto/cagnotte/errors/v1"
	"github.com/cagnotte/cagnotte/services/access"
)

func TestNews(t *testing.T) {
	s, _, clock := fresh(t)
	ctx := context.Background()
	mustCreate(t, s, avocat, lawyer())
	request := uuid.New()
	audience := map[string]NewsText{"fr": {Title: "Audience", Text: "Le *12*."}}
	item, err := s.CreateNewsItem(ctx, avocat, audience, request)
	if err != nil || item.State != NewsDraft {
		t.Fatalf("got %+v, %v", item, err)
	}
	again, err := s.CreateNewsItem(ctx, avocat, audience, request)
	if err != nil || again.ID != item.ID {
		t.Errorf("sent twice: %+v, %v", again, err)
	}
	_, err = s.CreateNewsItem(ctx, avocat, map[string]NewsText{"fr": {Title: "Autre"}}, request)
	wantReason(t, err, errorsv1.ErrorReason_REQUEST_ID_REUSED)
	for _, texts := range []map[string]NewsText{
		nil,
		{"en": {Title: "Hearing"}},
		{"fr": {}},
		{"fr": {Title: "a\nb"}},
		{"fr": {Title: "a", Text: strings.Repeat("é", 10_001)}},
		{"fr": {Title: "a", Text: "\x00"}},
	} {
		_, err := s.CreateNewsItem(ctx, avocat, texts, uuid.New())
		wantReason(t, err, errorsv1.ErrorReason_INVALID_FIELD)
	}
	_, err = s.WithdrawNewsItem(ctx, avocat, item.ID)
	wantReason(t, err, errorsv1.ErrorReason_NEWS_ITEM_NOT_PUBLISHED)

	clock.set(start.Add(time.Hour))
	published, err := s.PublishNewsItem(ctx, avocat, item.ID, "")
	if err != nil || !published.PublishTime.Equal(start.Add(time.Hour)) {
		t.Fatalf("got %+v, %v", published, err)
	}
	clock.set(start.Add(2 * time.Hour))
	if again, err := s.PublishNewsItem(ctx, avocat, item.ID, ""); err != nil || again.etag() != published.etag() {
		t.Errorf("published twice: %+v, %v", again, err)
	}
	change := func(map[string]NewsText) (map[string]NewsText, error) {
		return map[string]NewsText{"fr": {Title: "Audience reportée"}}, nil
	}
	_, err = s.UpdateNewsItem(ctx, avocat, item.ID, item.etag(), change)
	wantReason(t, err, errorsv1.ErrorReason_ETAG_MISMATCH)
	updated, err := s.UpdateNewsItem(ctx, avocat, item.ID, published.etag(), change)
	if err != nil || updated.Texts["fr"].Title != "Audience reportée" || updated.State != NewsPublished {
		t.Errorf("got %+v, %v", updated, err)
	}

	t.Run("is public while its campaign is", func(t *testing.T) {
		server := NewNewsServer(s)
		list := func(ctx context.Context) int {
			t.Helper()
			resp, err := server.ListNewsItems(ctx, &campaignsv1.ListNewsItemsRequest{Parent: avocat.String()})
			if err != nil {
				t.Fatal(err)
			}
			_, err = server.GetNewsItem(ctx, &campaignsv1.GetNewsItemRequest{Name: item.Name()})
			if (err == nil) != (len(resp.GetNewsItems()) > 0) {
				t.Errorf("listed %d, read: %v", len(resp.GetNewsItems()), err)
			}
			return len(resp.GetNewsItems())
		}
		member := as(access.RoleAuditor, "vallon")
		if public, members := list(ctx), list(member); public != 0 || members != 1 {
			t.Errorf("a draft's: %d and %d", public, members)
		}
		must(t, publishes(s), avocat)
		if public, other := list(ctx), list(as(access.RoleOwner, "marseille")); public != 1 || other != 1 {
			t.Errorf("a published campaign's: %d and %d", public, other)
		}
		wantReason(t, s.DeleteNewsItem(ctx, avocat, item.ID, ""), errorsv1.ErrorReason_NEWS_ITEM_PUBLISHED)
		if _, err := s.WithdrawNewsItem(ctx, avocat, item.ID); err != nil {
			t.Fatal(err)
		}
		if public, members := list(ctx), list(member); public != 0 || members != 1 {
			t.Errorf("withdrawn: %d and %d", public, members)
		}
	})
	if err := s.DeleteNewsItem(ctx, avocat, item.ID, ""); err != nil {
		t.Fatal(err)
	}
	wantReason(t, s.DeleteNewsItem(ctx, avocat, item.ID, ""), errorsv1.ErrorReason_NOT_FOUND)
}
