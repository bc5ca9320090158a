#include "tensor/blas_check.h"

#include <gtest/gtest.h>

namespace quernel::blas {
namespace {

// The real functions, each with one fault that a core of a library could have.

void sgemm_of_even_columns(CBLAS_ORDER order, CBLAS_TRANSPOSE trans_a, CBLAS_TRANSPOSE trans_b, int m, int n, int k,
                           float alpha, const float* a, int lda, const float* b, int ldb, float beta, float* c,
                           int ldc) {
  functions().sgemm(order, trans_a, trans_b, m, n - (n > 64 ? n % 2 : 0), k, alpha, a, lda, b, ldb, beta, c, ldc);
}
void sgemm_without_beta(CBLAS_ORDER order, CBLAS_TRANSPOSE trans_a, CBLAS_TRANSPOSE trans_b, int m, int n, int k,
                        float alpha, const float* a, int lda, const float* b, int ldb, float /*beta*/, float* c,
                        int ldc) {
  functions().sgemm(order, trans_a, trans_b, m, n, k, alpha, a, lda, b, ldb, 1.0F, c, ldc);
}
void sgemm_past_the_row(CBLAS_ORDER order, CBLAS_TRANSPOSE trans_a, CBLAS_TRANSPOSE trans_b, int m, int n, int k,
                        float alpha, const float* a, int lda, const float* b, int ldb, float beta, float* c, int ldc) {
  functions().sgemm(order, trans_a, trans_b, m, n, k, alpha, a, lda, b, ldb, beta, c, ldc);
  c[n] = 9.0F;
}
void ssyrk_of_both_triangles(CBLAS_ORDER order, CBLAS_UPLO /*uplo*/, CBLAS_TRANSPOSE trans, int n, int k, float alpha,
                             const float* a, int lda, float beta, float* c, int ldc) {
  functions().ssyrk(order, CblasLower, trans, n, k, alpha, a, lda, beta, c, ldc);
  functions().ssyrk(order, CblasUpper, trans, n, k, alpha, a, lda, beta, c, ldc);
}
void potrf_a_little_off(const char* uplo, const int* n, double* a, const int* lda, int* info, std::size_t length) {
  functions().dpotrf(uplo, n, a, lda, info, length);
  a[0] *= 1.0 + 1e-9;
}
void trtri_of_all_but_one(const char* uplo, const char* diag, const int* n, double* a, const int* lda, int* info,
                          std::size_t uplo_length, std::size_t diag_length) {
  const int fewer = *n - 1;
  functions().dtrtri(uplo, diag, &fewer, a, lda, info, uplo_length, diag_length);
}

TEST(BlasCheck, TheLibraryInUseIsRight) { EXPECT_EQ(wrong_function(functions()), ""); }

TEST(BlasCheck, FindsWrongProducts) {
  Functions broken = functions();
  for (const auto sgemm : {sgemm_of_even_columns, sgemm_without_beta, sgemm_past_the_row}) {
    broken.sgemm = sgemm;
    EXPECT_EQ(wrong_function(broken), "sgemm");
  }
}

TEST(BlasCheck, FindsEveryOtherWrongFunction) {
  Functions broken = functions();
  broken.ssyrk = ssyrk_of_both_triangles;
  EXPECT_EQ(wrong_function(broken), "ssyrk");
  broken = functions();
  broken.dpotrf = potrf_a_little_off;
  EXPECT_EQ(wrong_function(broken), "dpotrf");
  broken = functions();
  broken.dtrtri = trtri_of_all_but_one;
  EXPECT_EQ(wrong_function(broken), "dtrtri");
}

}  // namespace
}  // namespace quernel::blas
