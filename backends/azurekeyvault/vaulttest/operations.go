package vaulttest

import (
	"context"
	"net/http"

	azfake "github.com/Azure/azure-sdk-for-go/sdk/azcore/fake"
	"github.com/Azure/azure-sdk-for-go/sdk/security/keyvault/azsecrets"
	"github.com/Azure/azure-sdk-for-go/sdk/security/keyvault/azsecrets/fake"
)

// operations puts the state behind the SDK's fake server.
func (s *state) operations() *fake.Server {
	return &fake.Server{
		SetSecret: func(_ context.Context, name string, p azsecrets.SetSecretParameters, _ *azsecrets.SetSecretOptions) (azfake.Responder[azsecrets.SetSecretResponse], azfake.ErrorResponder) {
			one, err := s.set(name, p)
			return respond(azsecrets.SetSecretResponse{Secret: one}, err)
		},
		GetSecret: func(_ context.Context, name, version string, _ *azsecrets.GetSecretOptions) (azfake.Responder[azsecrets.GetSecretResponse], azfake.ErrorResponder) {
			one, err := s.get(name, version)
			return respond(azsecrets.GetSecretResponse{Secret: one}, err)
		},
		UpdateSecretProperties: func(_ context.Context, name, version string, p azsecrets.UpdateSecretPropertiesParameters, _ *azsecrets.UpdateSecretPropertiesOptions) (azfake.Responder[azsecrets.UpdateSecretPropertiesResponse], azfake.ErrorResponder) {
			one, err := s.update(name, version, p)
			return respond(azsecrets.UpdateSecretPropertiesResponse{Secret: one}, err)
		},
		DeleteSecret: func(_ context.Context, name string, _ *azsecrets.DeleteSecretOptions) (azfake.Responder[azsecrets.DeleteSecretResponse], azfake.ErrorResponder) {
			one, err := s.remove(name)
			return respond(azsecrets.DeleteSecretResponse{DeletedSecret: one}, err)
		},
		GetDeletedSecret: func(_ context.Context, name string, _ *azsecrets.GetDeletedSecretOptions) (azfake.Responder[azsecrets.GetDeletedSecretResponse], azfake.ErrorResponder) {
			one, err := s.getRemoved(name)
			return respond(azsecrets.GetDeletedSecretResponse{DeletedSecret: one}, err)
		},
		RecoverDeletedSecret: func(_ context.Context, name string, _ *azsecrets.RecoverDeletedSecretOptions) (azfake.Responder[azsecrets.RecoverDeletedSecretResponse], azfake.ErrorResponder) {
			one, err := s.restore(name)
			return respond(azsecrets.RecoverDeletedSecretResponse{Secret: one}, err)
		},
		PurgeDeletedSecret: func(_ context.Context, name string, _ *azsecrets.PurgeDeletedSecretOptions) (ok azfake.Responder[azsecrets.PurgeDeletedSecretResponse], refused azfake.ErrorResponder) {
			if err := s.purge(name); err != nil {
				refused.SetError(err)
				return ok, refused
			}
			ok.SetResponse(http.StatusNoContent, azsecrets.PurgeDeletedSecretResponse{}, nil)
			return ok, refused
		},
		NewListSecretPropertiesVersionsPager: s.pager,
	}
}

func (s *state) pager(name string, _ *azsecrets.ListSecretPropertiesVersionsOptions) (pages azfake.PagerResponder[azsecrets.ListSecretPropertiesVersionsResponse]) {
	all, err := s.list(name)
	if err != nil {
		pages.AddError(err)
		return pages
	}
	for _, page := range all {
		pages.AddPage(http.StatusOK, azsecrets.ListSecretPropertiesVersionsResponse{
			SecretPropertiesListResult: azsecrets.SecretPropertiesListResult{Value: page},
		}, nil)
	}
	return pages
}

// respond puts an answer of the state into the form of the SDK's fake server.
func respond[T any](answer T, err error) (ok azfake.Responder[T], refused azfake.ErrorResponder) {
	if err != nil {
		refused.SetError(err)
	} else {
		ok.SetResponse(http.StatusOK, answer, nil)
	}
	return ok, refused
}
