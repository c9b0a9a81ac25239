module github.com/seafront-cdn/seafront/test

go 1.26.0
