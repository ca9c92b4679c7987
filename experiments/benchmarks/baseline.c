// SPDX-License-Identifier: Apache-2.0
/* Trains seeds of the low-rank problem one after the other and records them: the benchmark's peer in C.
 * Compiled for one case: N, the side; R, the rank of factors and target; CROSS_ENTROPY, ADAM and FACTORED, 0 or 1;
 * TILE, a divisor of R up to 8. The 16 floats of a Vec are whatever vectors the machine has. A matrix of N rows lies
 * column by column, each padded with zeros to W Vecs: zeros stay zeros, so that no loop has a rest. */
#include <math.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#define W ((N + 15) / 16)
typedef float Vec __attribute__((vector_size(64), may_alias));
typedef int32_t Ints __attribute__((vector_size(64), may_alias));
typedef Vec Columns[R][W], Matrix[16 * W][W];

typedef struct {  // pairs: A and B, U and V, gradients, Adam's moments; dense: P or C, dL/dZ, its transpose, U V^T
  Columns learned[2], target[2], slope[2], first[2], second[2];
  Matrix goal, z, zt, c;
} Seed;

static inline float total(Vec x) {
  float sum = 0;
  for (int i = 0; i < 16; i++) sum += x[i];
  return sum;
}
static inline float dot(const Vec *x, const Vec *y) {
  Vec sum = {0};
  for (int w = 0; w < W; w++) sum += x[w] * y[w];
  return total(sum);
}

static inline Vec larger(Vec x, Vec y) {
  Ints yes = x > y;
  return (Vec)((yes & (Ints)x) | (~yes & (Ints)y));
}
static inline Vec exponential(Vec x) {  // 2^k e^f, |f| <= log(2) / 2; e^f by the polynomial of Cephes' expf
  x = larger(x, -87.0f - (Vec){0});
  Ints k = __builtin_convertvector(x * 1.44269504f + 127.5f, Ints);
  x -= (__builtin_convertvector(k, Vec) - 127.0f) * 0.69314718f;
  Vec sum = ((((1.9875691500e-4f * x + 1.3981999507e-3f) * x + 8.3334519073e-3f) * x + 4.1665795894e-2f) * x +
             1.6666665459e-1f) * x + 5.0000001201e-1f;
  return (sum * x * x + x + 1.0f) * (Vec)(k << 23);
}

/* out[i] = sum over k of left[i * across + k * along] right[k], `tile` rows at a time, which stay in registers. */
static inline __attribute__((always_inline)) void multiply(
    int rows, int depth, const float *left, int across, int along, Vec (*right)[W], Vec (*out)[W], const int tile) {
  for (int i = 0; i < rows; i += tile)
    for (int w = 0; w < W; w++) {
      Vec sum[8] = {{0}};
      for (int k = 0; k < depth; k++)
        for (int x = 0; x < tile; x++) sum[x] += left[(i + x) * across + k * along] * right[k][w];
      for (int x = 0; x < tile; x++) out[i + x][w] = sum[x];
    }
}

static void product(Columns *pair, Matrix out) {  // A B^T
  multiply((N + 7) / 8 * 8, R, (float *)pair[0], 1, 16 * W, pair[1], out, 8);
}

static float softmax(Matrix z, Matrix out) {  // and the logarithm of the normaliser
  Vec *all = (Vec *)z, *each = (Vec *)out, most = all[0], sum = {0};
  for (int i = 1; i < N * W; i++) most = larger(all[i], most);
  float shift = most[0];
  for (int i = 1; i < 16; i++) shift = fmaxf(shift, most[i]);
  for (int i = 0; i < N; i++) {
    for (int w = 0; w < W; w++) out[i][w] = exponential(z[i][w] - shift);
    for (int j = N; j < 16 * W; j++) ((float *)out[i])[j] = 0;
    for (int w = 0; w < W; w++) sum += out[i][w];
  }
  float scale = 1 / total(sum);
  for (int i = 0; i < N * W; i++) each[i] *= scale;
  return shift - logf(scale);
}

static void factored(Columns a, Columns b, Columns u, Columns v, Columns out) {  // A (B^T B) - U (V^T B)
  float own[R][R], other[R][R];
  for (int k = 0; k < R; k++)
    for (int l = 0; l < R; l++) own[k][l] = dot(b[k], b[l]), other[k][l] = dot(b[k], v[l]);
  for (int k = 0; k < R; k++)
    for (int w = 0; w < W; w++) {
      Vec sum = {0};
      for (int l = 0; l < R; l++) sum += own[k][l] * a[l][w] - other[k][l] * u[l][w];
      out[k][w] = sum;
    }
}

static void dense(Seed *s) {  // dL/dA = G B and dL/dB = G^T A, G = Z - C or Q - P
  product(s->learned, s->z);
  if (CROSS_ENTROPY) softmax(s->z, s->z);
  for (int i = 0; i < N * W; i++) ((Vec *)s->z)[i] -= ((Vec *)s->goal)[i];
  multiply(R, N, (float *)s->learned[0], 16 * W, 1, s->z, s->slope[1], TILE);
  for (int i = 0; i < N; i++)
    for (int k = 0; k < R && R <= 16; k++) ((float *)s->slope[0][k])[i] = dot(s->z[i], s->learned[1][k]);
  for (int i = 0; i < N && R > 16; i++)
    for (int j = 0; j < N; j++) ((float *)s->zt[j])[i] = ((float *)s->z[i])[j];
  if (R > 16) multiply(R, N, (float *)s->learned[1], 16 * W, 1, s->zt, s->slope[0], TILE);
}

static void step(Seed *s, float rate, int t) {
  if (!FACTORED) dense(s);
  for (int i = 0, j = 1; i < 2 && FACTORED; i++, j--)
    factored(s->learned[i], s->learned[j], s->target[i], s->target[j], s->slope[i]);
  float *x = (float *)s->learned, *g = (float *)s->slope, *m = (float *)s->first, *v = (float *)s->second;
  float correct = 1 - powf(0.9f, t), root = 1 / (1 - powf(0.999f, t));
  for (int i = 0; i < 2 * R * 16 * W; i++) {
    if (ADAM) m[i] = 0.9f * m[i] + 0.1f * g[i], v[i] = 0.999f * v[i] + 0.001f * g[i] * g[i];
    x[i] -= ADAM ? rate / correct * m[i] / (sqrtf(v[i] * root) + 1e-8f) : rate * g[i];
  }
}

static float value(Seed *s) {  // |C - Z|^2 / 2, or the sum of P (log P - log Q)
  Vec *z = (Vec *)s->z, *c = (Vec *)s->c, *p = (Vec *)s->goal, sum = {0};
  product(s->learned, s->z);
  product(s->target, s->c);
  float log_q = CROSS_ENTROPY ? softmax(s->z, s->zt) : 0, log_p = CROSS_ENTROPY ? softmax(s->c, s->zt) : 0;
  for (int i = 0; i < N * W; i++) {
    Vec d = (c[i] - log_p) - (z[i] - log_q);
    sum += CROSS_ENTROPY ? p[i] * d : 0.5f * d * d;
  }
  return total(sum);
}

/* Drawn: A, B, U, V, (S, 4, N, R). Before record t lie waits[t] steps. Curves: losses (S, T), norms (S, T, 2, R),
 * |cosines| and |inner products| (S, T, 2, R, R) each, or NULL both. */
int train(int S, const float *drawn, int T, const int *waits, float rate, float *loss, float *norm, float *cos,
          float *inner) {
  Seed *s = aligned_alloc(64, sizeof(Seed));
  if (!s) return 1;
  for (int seed = 0; seed < S; seed++, drawn += 4 * N * R) {
    memset(s, 0, sizeof(Seed));
    for (int x = 0; x < 4; x++)
      for (int i = 0; i < N; i++)
        for (int k = 0; k < R; k++)
          ((float *)(x < 2 ? s->learned[x] : s->target[x - 2])[k])[i] = drawn[(x * N + i) * R + k];
    product(s->target, s->goal);
    if (CROSS_ENTROPY) softmax(s->goal, s->goal);
    for (int point = 0, t = 0; point < T; point++) {
      for (int left = waits[point]; left; left--) step(s, rate, ++t);
      *loss++ = value(s);
      for (int i = 0; i < 2 * R; i++) *norm++ = sqrtf(dot(s->learned[0][i], s->learned[0][i]));
      for (int i = 0; cos && i < 2 * R * R; i++) {
        Vec *x = s->learned[0][i / R], *y = s->target[i / (R * R)][i % R];
        *inner++ = fabsf(dot(x, y));
        *cos++ = inner[-1] / sqrtf(dot(x, x) * dot(y, y));
      }
    }
  }
  free(s);
  return 0;
}
