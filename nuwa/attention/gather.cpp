// Attention of every query over the keys that are listed for it: softmax(q k' / sqrt(width)) v, and its gradients.
//
// The keys of query i are keys[first[i]] to keys[first[i + 1] - 1]. A row's scores live in a buffer of that length, so nothing
// grows with queries x keys; the backward pass takes the weights anew from the inputs. Sums are in float for float and
// bfloat16, in double for double. Heads are shared out among threads; each key's gradient is summed by one thread in a fixed
// order, so results do not depend on the number of threads. Heads of 32 and 64 floats are kept in registers.

#include <algorithm>
#include <atomic>
#include <cmath>
#include <cstdint>
#include <cstring>
#include <limits>
#include <thread>
#include <type_traits>
#include <vector>

#ifdef __linux__
#include <sys/mman.h>
#endif

namespace {

struct bfloat16 {
    uint16_t bits;
};

inline float widen(float x) { return x; }
inline double widen(double x) { return x; }
inline float widen(bfloat16 x) {
    const uint32_t bits = uint32_t(x.bits) << 16;
    float wide;
    std::memcpy(&wide, &bits, sizeof wide);
    return wide;
}
inline void narrow(float x, float& out) { out = x; }
inline void narrow(double x, double& out) { out = x; }
inline void narrow(float x, bfloat16& out) {  // to the nearest, ties to even; NaN stays NaN
    uint32_t bits;
    std::memcpy(&bits, &x, sizeof bits);
    out.bits = x == x ? uint16_t((bits + 0x7fff + ((bits >> 16) & 1)) >> 16) : uint16_t(0x7fc0);
}

template <typename T> using Sum = std::conditional_t<std::is_same_v<T, double>, double, float>;

inline double exponential(double x) { return std::exp(x); }
inline float exponential(float x) {  // Cephes' expf for x <= 0: one unit in the last place, and loops over it vectorise
    const float low = x < -87.0f ? -87.0f : x;  // a NaN passes
    const float n = std::nearbyintf(low * 1.44269504f);
    float r = low - n * 0.693359375f;
    r += n * 2.12194440e-4f;
    float p = 1.9875691500e-4f;
    p = p * r + 1.3981999507e-3f;
    p = p * r + 8.3334519073e-3f;
    p = p * r + 4.1665795894e-2f;
    p = p * r + 1.6666665459e-1f;
    p = p * r + 5.0000001201e-1f;
    p = p * r * r + r + 1.0f;
    const uint32_t bits = uint32_t(int32_t(n) + 127) << 23;
    float power;
    std::memcpy(&power, &bits, sizeof power);
    return x < -87.0f ? 0.0f : p * power;
}

}  // namespace

extern "C" {

// A tensor (batch, heads, tokens, width) whose last axis is dense; strides count numbers.
struct View {
    void* data;
    int64_t batch, head, token;
};

struct Problem {
    int64_t batch, heads, queries, keys, width, threads;
    const int64_t* first;     // (queries + 1,)
    const int32_t* key;       // (pairs,)
    const uint8_t* existing;  // (batch, keys), 0 on padding, or null
    double scale;
};
}

namespace {

template <typename T> T* head_of(const View& x, int64_t b, int64_t n) {
    return static_cast<T*>(x.data) + b * x.batch + n * x.head;
}

// Keys or values of one head as numbers to sum with: in place, or copied where they are of half precision.
template <typename T> struct Wide {
    std::vector<Sum<T>> copy;
    const Sum<T>* data = nullptr;
    int64_t token = 0;

    void load(const View& x, int64_t b, int64_t n, int64_t tokens, int64_t width) { load(x, b, n, 0, tokens, width); }

    void load(const View& x, int64_t b, int64_t n, int64_t begin, int64_t end, int64_t width) {
        const int64_t tokens = end - begin;
        const T* from = head_of<T>(x, b, n) + begin * x.token;
        if constexpr (std::is_same_v<T, Sum<T>>) {
            data = from, token = x.token;
        } else {
            copy.resize(tokens * width);
            for (int64_t i = 0; i < tokens; i++)
                for (int64_t c = 0; c < width; c++) copy[i * width + c] = widen(from[i * x.token + c]);
            data = copy.data(), token = width;
        }
    }
};

// WIDTH is the heads' width where the compiler knows it, else 0.
template <typename T, int WIDTH> struct Head {
    using S = Sum<T>;
    const Problem& p;
    const int64_t width = WIDTH ? WIDTH : p.width;
    Wide<T> k, v;
    std::vector<int32_t> keys;
    std::vector<S> weights, slopes;
    std::vector<S> query = std::vector<S>(width), gradient = std::vector<S>(width), result = std::vector<S>(width);

    explicit Head(const Problem& problem) : p(problem) {}

    S dot(const S* __restrict x, const S* __restrict y) const {
        S sum = 0;
#pragma omp simd reduction(+ : sum)
        for (int64_t c = 0; c < width; c++) sum += x[c] * y[c];
        return sum;
    }
    void add(S factor, const S* __restrict x, S* __restrict y) const {
#pragma omp simd
        for (int64_t c = 0; c < width; c++) y[c] += factor * x[c];
    }
    void widen_row(const T* from, std::vector<S>& to) const {
        for (int64_t c = 0; c < width; c++) to[c] = widen(from[c]);
    }
    void narrow_row(const std::vector<S>& from, T* to) const {
        for (int64_t c = 0; c < width; c++) narrow(from[c], to[c]);
    }

    // Lists the keys of query i and their weights; their number.
    int64_t weigh(int64_t i, int64_t b) {
        keys.clear();
        for (int64_t at = p.first[i]; at < p.first[i + 1]; at++)
            if (!p.existing || p.existing[b * p.keys + p.key[at]]) keys.push_back(p.key[at]);
        const int64_t count = keys.size();
        weights.resize(count);
        S peak = -std::numeric_limits<S>::infinity(), sum = 0;
        for (int64_t j = 0; j < count; j++) {
            weights[j] = p.scale * dot(query.data(), k.data + keys[j] * k.token);
            peak = std::max(peak, weights[j]);
        }
        S* __restrict w = weights.data();
#pragma omp simd reduction(+ : sum)
        for (int64_t j = 0; j < count; j++) {
            w[j] = exponential(w[j] - peak);
            sum += w[j];
        }
#pragma omp simd
        for (int64_t j = 0; j < count; j++) w[j] /= sum;
        return count;
    }

    void forward(const View& q, const View& out, int64_t b, int64_t n, int64_t begin, int64_t end) {
        const T* queries = head_of<T>(q, b, n);
        T* results = head_of<T>(out, b, n);
        for (int64_t i = begin; i < end; i++) {
            widen_row(queries + i * q.token, query);
            const int64_t count = weigh(i, b);
            std::fill(result.begin(), result.end(), S(0));
            for (int64_t j = 0; j < count; j++) add(weights[j], v.data + keys[j] * v.token, result.data());
            narrow_row(result, results + i * out.token);
        }
    }

    // Adds to the gradients of keys and values (keys, width), writes those of the queries.
    void backward(const View& q, const View& grad, const View& grad_q, S* grad_k, S* grad_v, int64_t b, int64_t n) {
        for (int64_t i = 0; i < p.queries; i++) {
            widen_row(head_of<T>(q, b, n) + i * q.token, query);
            widen_row(head_of<T>(grad, b, n) + i * grad.token, gradient);
            const int64_t count = weigh(i, b);
            slopes.resize(count);
            S mean = 0;
            for (int64_t j = 0; j < count; j++) {
                slopes[j] = dot(gradient.data(), v.data + keys[j] * v.token);
                mean += weights[j] * slopes[j];
            }
            std::fill(result.begin(), result.end(), S(0));
            for (int64_t j = 0; j < count; j++) {
                const S slope = weights[j] * (slopes[j] - mean) * S(p.scale);
                add(slope, k.data + keys[j] * k.token, result.data());
                add(slope, query.data(), grad_k + keys[j] * width);
                add(weights[j], gradient.data(), grad_v + keys[j] * width);
            }
            narrow_row(result, head_of<T>(grad_q, b, n) + i * grad_q.token);
        }
    }
};

// Floats in registers: rows whose width the compiler knows are a few of these.
constexpr int LANES = 16;
typedef float Lanes __attribute__((vector_size(4 * LANES)));
typedef int32_t Places __attribute__((vector_size(4 * LANES)));

#if defined(__clang__) || __GNUC__ >= 12
#define NUWA_PICK(a, b, ...) __builtin_shufflevector(a, b, __VA_ARGS__)
#else
#define NUWA_PICK(a, b, ...) __builtin_shuffle(a, b, Places{__VA_ARGS__})
#endif

inline Lanes lanes_at(const float* from) {
    Lanes x;
    std::memcpy(&x, from, sizeof x);
    return x;
}

// The sums over the lanes of four vectors: a few shuffles for all of them, where one alone takes four.
inline void totals(Lanes a, Lanes b, Lanes c, Lanes d, float* to) {
    const Lanes ab = NUWA_PICK(a, b, 0, 1, 2, 3, 4, 5, 6, 7, 16, 17, 18, 19, 20, 21, 22, 23) +
                     NUWA_PICK(a, b, 8, 9, 10, 11, 12, 13, 14, 15, 24, 25, 26, 27, 28, 29, 30, 31);
    const Lanes cd = NUWA_PICK(c, d, 0, 1, 2, 3, 4, 5, 6, 7, 16, 17, 18, 19, 20, 21, 22, 23) +
                     NUWA_PICK(c, d, 8, 9, 10, 11, 12, 13, 14, 15, 24, 25, 26, 27, 28, 29, 30, 31);
    Lanes all = NUWA_PICK(ab, cd, 0, 1, 2, 3, 8, 9, 10, 11, 16, 17, 18, 19, 24, 25, 26, 27) +
                NUWA_PICK(ab, cd, 4, 5, 6, 7, 12, 13, 14, 15, 20, 21, 22, 23, 28, 29, 30, 31);
    all += NUWA_PICK(all, all, 2, 3, 0, 1, 6, 7, 4, 5, 10, 11, 8, 9, 14, 15, 12, 13);
    all += NUWA_PICK(all, all, 1, 0, 3, 2, 5, 4, 7, 6, 9, 8, 11, 10, 13, 12, 15, 14);
    to[0] = all[0], to[1] = all[4], to[2] = all[8], to[3] = all[12];
}

template <int WIDTH> struct Row {
    Lanes x[WIDTH / LANES] = {};

    void load(const float* from) {
        for (int n = 0; n < WIDTH / LANES; n++) x[n] = lanes_at(from + n * LANES);
    }
    void store(float* to) const { std::memcpy(to, x, sizeof x); }
    void add(float factor, const float* y) {
        for (int n = 0; n < WIDTH / LANES; n++) x[n] += factor * lanes_at(y + n * LANES);
    }
    Lanes products(const float* y) const {
        Lanes sum = x[0] * lanes_at(y);
        for (int n = 1; n < WIDTH / LANES; n++) sum += x[n] * lanes_at(y + n * LANES);
        return sum;
    }
    // Its products with the rows of some keys; what stands behind them up to a multiple of four is written too.
    void dots(const float* rows, int64_t token, const int32_t* keys, int64_t count, float* to) const {
        for (int64_t j = 0; j < count; j += 4) {
            Lanes sums[4];
            for (int n = 0; n < 4; n++) sums[n] = products(rows + keys[std::min(j + n, count - 1)] * token);
            totals(sums[0], sums[1], sums[2], sums[3], to + j);
        }
    }
};

// The pairs by their keys: which queries see key j, in their order, and where each pair stands in the lists of the queries.
struct ByKey {
    std::vector<int64_t> first;
    std::vector<int32_t> query, pair;

    explicit ByKey(const Problem& p) : first(p.keys + 1), query(p.first[p.queries]), pair(p.first[p.queries]) {
        for (int64_t at = 0; at < p.first[p.queries]; at++) first[p.key[at] + 1]++;
        for (int64_t key = 0; key < p.keys; key++) first[key + 1] += first[key];
        std::vector<int64_t> next(first.begin(), first.end() - 1);
        for (int64_t i = 0; i < p.queries; i++)
            for (int64_t at = p.first[i]; at < p.first[i + 1]; at++) {
                const int64_t place = next[p.key[at]]++;
                query[place] = int32_t(i), pair[place] = int32_t(at);
            }
    }
};

constexpr int64_t MOST_KEPT = 1 << 22;  // pairs whose weights a thread keeps, to sum each key's gradient at once

// One head of float or bfloat16 whose width is known; the sums are those of Head, and so is their order.
template <typename T, int WIDTH> struct QuickHead {
    const Problem& p;
    Wide<T> q, k, v, g;
    std::vector<int32_t> listed;
    std::vector<float> weights, slopes, kept, kept_slopes;

    explicit QuickHead(const Problem& problem) : p(problem) {}

    void load_keys(const View& keys, const View& values, int64_t b, int64_t n) {
        k.load(keys, b, n, p.keys, WIDTH);
        v.load(values, b, n, p.keys, WIDTH);
    }

    // The keys of query i that are there, and their number.
    const int32_t* list(int64_t i, int64_t b, int64_t& count) {
        const int32_t* keys = p.key + p.first[i];
        count = p.first[i + 1] - p.first[i];
        if (!p.existing) return keys;
        listed.clear();
        for (int64_t j = 0; j < count; j++)
            if (p.existing[b * p.keys + keys[j]]) listed.push_back(keys[j]);
        count = listed.size();
        return listed.data();
    }

    void weigh(const Row<WIDTH>& query, const int32_t* keys, int64_t count) {
        const int64_t padded = (count + LANES - 1) / LANES * LANES;
        weights.resize(padded);
        float* __restrict w = weights.data();
        query.dots(k.data, k.token, keys, count, w);
        const float scale = float(p.scale);
        float peak = -std::numeric_limits<float>::infinity(), sum = 0;
        for (int64_t j = 0; j < count; j++) w[j] *= scale, peak = std::max(peak, w[j]);
        for (int64_t j = count; j < padded; j++) w[j] = -std::numeric_limits<float>::infinity();
#pragma omp simd
        for (int64_t j = 0; j < padded; j++) w[j] = exponential(w[j] - peak);
        for (int64_t j = 0; j < count; j++) sum += w[j];
#pragma omp simd
        for (int64_t j = 0; j < padded; j++) w[j] /= sum;
    }

    void forward(const View& queries, const View& out, int64_t b, int64_t n, int64_t begin, int64_t end) {
        T* results = head_of<T>(out, b, n);
        q.load(queries, b, n, begin, end, WIDTH);
        for (int64_t i = begin; i < end; i++) {
            Row<WIDTH> query, result;
            query.load(q.data + (i - begin) * q.token);
            int64_t count;
            const int32_t* keys = list(i, b, count);
            weigh(query, keys, count);
            for (int64_t j = 0; j < count; j++) result.add(weights[j], v.data + keys[j] * v.token);
            write(result, results + i * out.token);
        }
    }

    void backward(const ByKey& by_key, const View& queries, const View& grad, const View& grad_q, const View& grad_k,
                  const View& grad_v, int64_t b, int64_t n) {
        q.load(queries, b, n, 0, p.queries, WIDTH);
        g.load(grad, b, n, 0, p.queries, WIDTH);
        kept.resize(p.first[p.queries]), kept_slopes.resize(p.first[p.queries]);
        for (int64_t i = 0; i < p.queries; i++) {
            Row<WIDTH> query, gradient, result;
            query.load(q.data + i * q.token), gradient.load(g.data + i * g.token);
            int64_t count;
            const int32_t* keys = list(i, b, count);
            weigh(query, keys, count);
            slopes.resize(weights.size());
            gradient.dots(v.data, v.token, keys, count, slopes.data());
            float mean = 0;
            for (int64_t j = 0; j < count; j++) mean += weights[j] * slopes[j];
            int64_t at = p.first[i];
            for (int64_t j = 0; j < count; j++, at++) {
                while (p.key[at] != keys[j]) at++;  // padding has no weight
                const float slope = weights[j] * (slopes[j] - mean) * float(p.scale);
                result.add(slope, k.data + keys[j] * k.token);
                kept[at] = weights[j], kept_slopes[at] = slope;
            }
            write(result, head_of<T>(grad_q, b, n) + i * grad_q.token);
        }
        for (int64_t key = 0; key < p.keys; key++) {
            Row<WIDTH> to_k, to_v;
            if (!p.existing || p.existing[b * p.keys + key])
                for (int64_t place = by_key.first[key]; place < by_key.first[key + 1]; place++) {
                    to_k.add(kept_slopes[by_key.pair[place]], q.data + by_key.query[place] * q.token);
                    to_v.add(kept[by_key.pair[place]], g.data + by_key.query[place] * g.token);
                }
            write(to_k, head_of<T>(grad_k, b, n) + key * grad_k.token);
            write(to_v, head_of<T>(grad_v, b, n) + key * grad_v.token);
        }
    }

    static void write(const Row<WIDTH>& row, T* to) {
        float wide[WIDTH];
        row.store(wide);
        for (int c = 0; c < WIDTH; c++) narrow(wide[c], to[c]);
    }
};

// Fresh memory comes in pages of 4 KiB, and fetching them takes longer than filling them: large results ask for large pages.
// Smaller ones are served from memory that the process has already.
template <typename T> void ask_for_large_pages(const View& x, int64_t numbers) {
#ifdef __linux__
    constexpr uintptr_t page = 2 << 20, least = 32 << 20;
    const uintptr_t start = reinterpret_cast<uintptr_t>(x.data), end = start + numbers * sizeof(T);
    const uintptr_t first = (start + page - 1) / page * page;
    if (end - start >= least) madvise(reinterpret_cast<void*>(first), end / page * page - first, MADV_HUGEPAGE);
#else
    (void)x, (void)numbers;
#endif
}

template <typename T, int WIDTH> constexpr bool QUICK = WIDTH > 0 && std::is_same_v<Sum<T>, float>;

// Calls work(thread's own state, item) for every item, on p.threads threads.
template <typename State, typename Work> void share(const Problem& p, int64_t items, const Work& work) {
    std::atomic<int64_t> next{0};
    auto run = [&] {
        State state(p);
        for (int64_t item; (item = next++) < items;) work(state, item);
    };
    std::vector<std::thread> others;
    for (int64_t i = 1; i < std::min(p.threads, items); i++) others.emplace_back(run);
    run();
    for (auto& other : others) other.join();
}

template <typename T, int WIDTH>
void forward(const Problem& p, const View& q, const View& k, const View& v, const View& out) {
    const int64_t heads = p.batch * p.heads;
    ask_for_large_pages<T>(out, heads * p.queries * p.width);
    const int64_t parts = heads >= 4 * p.threads ? 1 : std::min(p.queries, (4 * p.threads + heads - 1) / heads);
    if constexpr (QUICK<T, WIDTH>)
        return share<QuickHead<T, WIDTH>>(p, heads * parts, [&](QuickHead<T, WIDTH>& head, int64_t item) {
            const int64_t b = item / parts / p.heads, n = item / parts % p.heads, part = item % parts;
            head.load_keys(k, v, b, n);
            head.forward(q, out, b, n, p.queries * part / parts, p.queries * (part + 1) / parts);
        });
    share<Head<T, WIDTH>>(p, heads * parts, [&](Head<T, WIDTH>& head, int64_t item) {
        const int64_t b = item / parts / p.heads, n = item / parts % p.heads, part = item % parts;
        head.k.load(k, b, n, p.keys, head.width);
        head.v.load(v, b, n, p.keys, head.width);
        head.forward(q, out, b, n, p.queries * part / parts, p.queries * (part + 1) / parts);
    });
}

template <typename T, int WIDTH>
void backward(const Problem& p, const View& q, const View& k, const View& v, const View& grad, const View& grad_q,
              const View& grad_k, const View& grad_v) {
    using S = Sum<T>;
    ask_for_large_pages<T>(grad_q, p.batch * p.heads * p.queries * p.width);
    ask_for_large_pages<T>(grad_k, p.batch * p.heads * p.keys * p.width);
    ask_for_large_pages<T>(grad_v, p.batch * p.heads * p.keys * p.width);
    if constexpr (QUICK<T, WIDTH>)
        if (p.first[p.queries] <= MOST_KEPT) {
            const ByKey by_key(p);
            return share<QuickHead<T, WIDTH>>(p, p.batch * p.heads, [&](QuickHead<T, WIDTH>& head, int64_t item) {
                const int64_t b = item / p.heads, n = item % p.heads;
                head.load_keys(k, v, b, n);
                head.backward(by_key, q, grad, grad_q, grad_k, grad_v, b, n);
            });
        }
    share<Head<T, WIDTH>>(p, p.batch * p.heads, [&](Head<T, WIDTH>& head, int64_t item) {
        const int64_t b = item / p.heads, n = item % p.heads, size = p.keys * head.width;
        head.k.load(k, b, n, p.keys, head.width);
        head.v.load(v, b, n, p.keys, head.width);
        T *to_k = head_of<T>(grad_k, b, n), *to_v = head_of<T>(grad_v, b, n);
        if constexpr (std::is_same_v<T, S>) {  // the caller made them dense
            std::fill(to_k, to_k + size, T(0));
            std::fill(to_v, to_v + size, T(0));
            head.backward(q, grad, grad_q, to_k, to_v, b, n);
        } else {
            std::vector<S> sum_k(size), sum_v(size);
            head.backward(q, grad, grad_q, sum_k.data(), sum_v.data(), b, n);
            for (int64_t i = 0; i < size; i++) narrow(sum_k[i], to_k[i]), narrow(sum_v[i], to_v[i]);
        }
    });
}

}  // namespace

#define NUWA_GATHER(NAME, T)                                                                                         \
    extern "C" void forward_##NAME(const Problem* p, const View* q, const View* k, const View* v, const View* out) { \
        switch (p->width) {                                                                                          \
            case 32: return forward<T, 32>(*p, *q, *k, *v, *out);                                                    \
            case 64: return forward<T, 64>(*p, *q, *k, *v, *out);                                                    \
            default: return forward<T, 0>(*p, *q, *k, *v, *out);                                                     \
        }                                                                                                            \
    }                                                                                                                \
    extern "C" void backward_##NAME(const Problem* p, const View* q, const View* k, const View* v, const View* g,    \
                                    const View* gq, const View* gk, const View* gv) {                                \
        switch (p->width) {                                                                                          \
            case 32: return backward<T, 32>(*p, *q, *k, *v, *g, *gq, *gk, *gv);                                      \
            case 64: return backward<T, 64>(*p, *q, *k, *v, *g, *gq, *gk, *gv);                                      \
            default: return backward<T, 0>(*p, *q, *k, *v, *g, *gq, *gk, *gv);                                       \
        }                                                                                                            \
    }

NUWA_GATHER(float32, float)
NUWA_GATHER(float64, double)
NUWA_GATHER(bfloat16, bfloat16)
